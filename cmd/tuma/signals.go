package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
)

// interrupts turns signals into the end of a command.
//
// The first signal ends the context of the command: SIGINT (Ctrl-C), SIGTERM, SIGHUP (the terminal
// was closed), SIGQUIT (Ctrl-\) and SIGABRT. A command without a terminal may read its configuration
// again after SIGHUP instead (reload). SIGQUIT and SIGABRT also print the stacks of all goroutines.
// A second signal ends the process at once, except in a command that called finish.
type interrupts struct {
	cancel context.CancelFunc
	errOut io.Writer
	exit   func(status int)
	// onAgain points to the function that each signal after the first one calls. If it is nil, such
	// a signal ends the process.
	onAgain atomic.Pointer[func()]
	// onHangUp points to the function that SIGHUP calls. If it is nil, SIGHUP has the effect of
	// SIGTERM.
	onHangUp atomic.Pointer[func()]
}

// reload makes SIGHUP call the function "do". This function must not block. reload does nothing for a
// nil *interrupts.
func (i *interrupts) reload(do func()) {
	if i != nil {
		i.onHangUp.Store(&do)
	}
}

// watchSignals returns a context that ends with the first signal. SIGHUP has no effect on a process
// that nohup has started.
func watchSignals(errOut io.Writer) (context.Context, *interrupts) {
	ctx, cancel := context.WithCancel(context.Background())
	i := &interrupts{cancel: cancel, errOut: errOut, exit: os.Exit}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGABRT)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go i.follow(signals)
	return ctx, i
}

// follow handles each signal until the channel is closed.
func (i *interrupts) follow(signals <-chan os.Signal) {
	first := true
	for s := range signals {
		if do := i.onHangUp.Load(); s == syscall.SIGHUP && do != nil {
			(*do)()
			continue
		}
		if s == syscall.SIGQUIT || s == syscall.SIGABRT {
			_ = pprof.Lookup("goroutine").WriteTo(i.errOut, 2) // the terminal may be gone
		}
		again := i.onAgain.Load()
		switch {
		case first:
			first = false
			i.cancel()
		case again != nil:
			(*again)()
		default:
			i.exit(exitFailed)
		}
	}
}

// finish makes the command end only when it has finished its work. A second signal then does not
// end the process: this signal calls the function in the parameter "again", which should print what
// the command waits for. A failed write to a closed terminal, or to a pipe without a reader, does not
// end the process either. finish does nothing for a nil *interrupts.
func (i *interrupts) finish(again func()) {
	if i == nil {
		return
	}
	i.onAgain.Store(&again)
	signal.Ignore(syscall.SIGPIPE)
}
