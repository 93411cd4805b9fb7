// Package e2e tests the plugin in real Packer, together with the real amazon
// plugin, against the simulated AWS. It contains only tests.
//
// The binaries are named by environment variables, which `make test` sets:
//
//	ORGAMI_TEST_PACKER         packer, 1.11 or newer
//	ORGAMI_TEST_AMAZON_PLUGIN  packer-plugin-amazon
//	ORGAMI_TEST_PLUGIN         this plugin
//	ORGAMI_TEST_AWSSIM         the simulator
//
// Without them the tests are skipped, or fail where CI=true.
package e2e
