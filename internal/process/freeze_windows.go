package process

import "errors"

var errNoSignals = errors.New("windows has no SIGSTOP and SIGCONT")

// Freeze returns an error, because Windows cannot stop a process.
func (p *Process) Freeze() error { return errNoSignals }

// Thaw returns an error, because Windows can neither stop nor continue a process.
func (p *Process) Thaw() error { return errNoSignals }
