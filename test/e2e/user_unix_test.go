//go:build unix

package e2e

import (
	"os/exec"
	"syscall"
)

// runAs runs the command as the user of this Packer.
func (p packer) runAs(command *exec.Cmd) {
	if p.user != 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(p.user), Gid: uint32(p.user)}}
	}
}
