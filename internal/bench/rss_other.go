//go:build unix && !linux

package main

import "syscall"

// maxRSS is in bytes on the BSDs and macOS.
func maxRSS(u *syscall.Rusage) int64 { return int64(u.Maxrss) }

// withParent is all that can be had here: only Linux can tie a child's life to its parent's.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
