//go:build !linux

package redistest

import "os/exec"

// dieWithParent does nothing. Only Linux can tie a child to its parent, so on other systems a killed
// test binary leaves its server running.
func dieWithParent(*exec.Cmd) {}
