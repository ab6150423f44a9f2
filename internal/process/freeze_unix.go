//go:build !windows

package process

import "syscall"

// Freeze stops the process with SIGSTOP. The process then does nothing, but keeps its files
// and connections.
func (p *Process) Freeze() error { return p.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process continue, with SIGCONT.
func (p *Process) Thaw() error { return p.Signal(syscall.SIGCONT) }
