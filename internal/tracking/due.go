package tracking

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed due.lua
var dueSource string

var dueScript = script.New("due", dueSource)

// dueAtOnce is the maximum number of parked reports that one call of LookAgain matches.
const dueAtOnce = 200

// dueArgs are the arguments of due.lua.
type dueArgs struct {
	Most        int
	Life, Least time.Duration
}

// LookAgain takes the parked reports that are due, and searches for their messages. If the outcome of a message
// is unknown, its report proves that the gateway took the message. Apply does not use this proof for a final
// report, because a worker may not have settled the answer to the call yet. LookAgain returns how many
// reports it has checked.
func (t *Tracker) LookAgain(ctx context.Context) (int, error) {
	out, err := t.scripts.Run(ctx, dueScript, []string{parkedKey(t.login), parkDueKey(t.login)}, script.Args(dueArgs{Most: dueAtOnce, Life: t.life, Least: lookAgainIn})...)
	if err != nil {
		return 0, fmt.Errorf("look at parked delivery reports: %w", err)
	}
	var reports []Report
	var unreadable []string
	over := 0
	for i := 1; i+2 < len(out); i += 3 {
		r, ok := parseParked(out[i+1], out[i+2])
		switch {
		case out[i] == "over":
			over++
		case ok:
			reports = append(reports, r)
		default:
			unreadable = append(unreadable, out[i+1])
		}
	}
	t.count(Unmatched, over)
	if err := t.unpark(ctx, unreadable); err != nil {
		return 0, err
	}
	return len(reports) + over, t.lookAt(ctx, reports)
}

// lookAt applies the parked reports that match a settled message. Another report may prove that the
// gateway has taken a message of unknown outcome. In this case lookAt settles the message and
// applies the report too.
func (t *Tracker) lookAt(ctx context.Context, reports []Report) error {
	if len(reports) == 0 {
		return nil
	}
	results, unsettled, err := t.match(ctx, reports)
	if err != nil {
		return err
	}
	now, err := t.ledger.Now(ctx)
	if err != nil {
		return err
	}
	var proved []Report
	for i, r := range reports {
		if results[i] != "" {
			continue
		}
		ok, err := t.prove(ctx, r, unsettled[i], now)
		if err != nil {
			return err
		}
		if ok {
			proved = append(proved, r)
		}
	}
	if err := t.finish(ctx, reports, results); err != nil || len(proved) == 0 {
		return err
	}
	if results, _, err = t.match(ctx, proved); err != nil {
		return err
	}
	return t.finish(ctx, proved, results)
}

// The method "finish" counts the reports that were applied, and removes them from the parked
// reports.
func (t *Tracker) finish(ctx context.Context, reports []Report, results []Result) error {
	var done []string
	for i, r := range reports {
		if results[i] != "" {
			done = append(done, r.MessageID)
			t.count(results[i], 1)
		}
	}
	return t.unpark(ctx, done)
}
