package ledger

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// WriteOff ends a stopped campaign in which only quarantined work is open. Recipients that were in
// flight become unknown, because their outcome cannot be read. If work was quarantined less than the
// duration "quiet" ago, WriteOff changes nothing. The duration "quiet" must be longer than a lease.
func (l *Ledger) WriteOff(ctx context.Context, id string, quiet time.Duration) (done bool, err error) {
	out, err := l.run(ctx, writeOffScript, id, []string{quarantineWorkKey(id)}, script.Args(writeOffArgs{MinAge: quiet})...)
	return err == nil && out[0] == "done", err
}

// writeOffArgs are the arguments of write_off.lua.
type writeOffArgs struct{ MinAge time.Duration }
