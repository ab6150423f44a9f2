//go:build unix && !linux

package main

import "syscall"

// ownGroup is all that can be had here: only Linux can tie a child's life to its parent's.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
