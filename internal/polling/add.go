package polling

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed add.lua
var addSource string

// addScript runs even when Redis has reached maxmemory, as the settle of the call does. The
// worker settles the call right after this script.
var addScript = script.NewAlwaysAllowed("add", addSource)

// maxWaiting is the maximum number of calls of one login that wait for delivery reports. Any
// further call is not added, and its reports are not requested.
const maxWaiting = 1_000_000

// ErrFull means that maxWaiting calls of the login wait for delivery reports, and that the new call
// was not added.
var ErrFull = errors.New("too many calls wait for their delivery reports")

// addArgs are the arguments of add.lua.
type addArgs struct {
	Campaign, Call, State string
	Due                   time.Time
	Most                  int
	Life                  time.Duration
}

// Add adds a call, so that its delivery reports are requested. life is how long the call waits for its reports. If a
// call is added twice, the second Add changes nothing. If Add returns ErrFull, the call was not added.
func (q *Queue) Add(ctx context.Context, c ledger.SentCall, life time.Duration) error {
	state := Call{SentCall: c, Step: q.first}.state(noToken)
	due := c.At.Add(q.schedule[q.first])
	keys := []string{turnsKey(q.login), statesKey(q.login)}
	out, err := q.scripts.Run(ctx, addScript, keys, script.Args(addArgs{campaignName(c.BatchRef), callName(c), state, due, q.most, life + keepLonger})...)
	if err == nil && out[0] == "full" {
		err = ErrFull
	}
	if err != nil {
		return fmt.Errorf("schedule requests for delivery reports of %s: %w", c.Campaign, err)
	}
	return nil
}
