//go:build unix && !linux

package main

import "syscall"

// ownGroup gives a child a separate process group. Only on Linux can the kernel also kill
// the child when its parent ends.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
