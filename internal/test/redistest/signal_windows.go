package redistest

import "errors"

var errNoSignals = errors.New("windows has no SIGSTOP and SIGCONT")

func freeze(int) error { return errNoSignals }

func thaw(int) error { return errNoSignals }
