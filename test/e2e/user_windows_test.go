package e2e

import "os/exec"

// runAs does nothing: the tests that need another user don't run on Windows.
func (p packer) runAs(*exec.Cmd) {}
