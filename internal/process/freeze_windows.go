package process

import "errors"

var errNoSignals = errors.New("windows has no SIGSTOP and SIGCONT")

// Freeze returns an error: Windows cannot stop a process.
func (p *Process) Freeze() error { return errNoSignals }

// Thaw returns an error: Windows cannot stop a process, so it cannot continue one.
func (p *Process) Thaw() error { return errNoSignals }
