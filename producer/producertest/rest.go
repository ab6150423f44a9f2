package producertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

const (
	// pollLeast is the first pause between two reads of the campaigns' states. pollMost is the
	// longest.
	pollLeast = 2 * time.Millisecond
	pollMost  = 20 * time.Millisecond
	// The constant "shown" is how many campaigns, messages or recipients a failure message lists.
	shown = 10
)

// The method "within" returns how long a method of Tuma may wait: Config.Timeout, or less if the
// deadline of the test binary is near.
func (u *Tuma) within(t testing.TB) time.Duration {
	d := u.cfg.Timeout
	if t, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, ok := t.Deadline(); ok {
			d = min(d, time.Until(at)-time.Second) // this leaves a second for the failure message
		}
	}
	return d
}

// atRest reports whether the campaign is at rest: it stays unchanged until the test or the service
// under test does something.
func (u *Tuma) atRest(s producer.Status) bool {
	switch s.State {
	case producer.Paused:
		return s.InFlight.Calls == 0
	case producer.Scheduled:
		return s.StartAt != nil && s.StartAt.After(u.clock.now())
	default:
		return s.Ended()
	}
}

// await waits until the campaign with the given ID is at rest. If id is empty, it waits until all
// campaigns are at rest. If the wait takes too long, await ends the test.
func (u *Tuma) await(t testing.TB, id string) {
	t.Helper()
	limit := u.within(t)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for pause := pollLeast; ; pause = min(2*pause, pollMost) {
		rest, err := u.resting(ctx, id)
		if rest {
			return
		}
		if errors.Is(err, producer.ErrNotFound) {
			t.Fatalf("producertest: campaign %s: no campaign with this ID was enqueued; %s", id, u.ids(ctx))
		}
		if err != nil && ctx.Err() == nil {
			t.Fatalf("producertest: %v\n%s", err, u.report())
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			t.Fatalf("producertest: a campaign is not at rest after %s\n%s", limit.Round(time.Millisecond), u.report())
		}
	}
}

func (u *Tuma) resting(ctx context.Context, id string) (bool, error) {
	if id != "" {
		s, err := u.client.Status(ctx, id)
		return err == nil && u.atRest(s), err
	}
	for s, err := range u.client.List(ctx) {
		if err != nil {
			return false, err
		}
		if !u.atRest(s) {
			return false, nil
		}
	}
	return true, nil
}

// The method "ids" lists the IDs of all campaigns.
func (u *Tuma) ids(ctx context.Context) string {
	var ids []string
	for s, err := range u.client.List(ctx) {
		if err == nil {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		return "the service has enqueued nothing"
	}
	return "the campaigns are:\n" + indented(ids)
}

// The method "report" describes the campaigns that have not ended, the reasons that block them,
// and the script and settings of the gateway.
func (u *Tuma) report() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var lines []string
	all, open := 0, 0
	for s, err := range u.client.List(ctx) {
		if err != nil {
			lines = append(lines, fmt.Sprintf("  list campaigns: %v", err))
			break
		}
		if all++; s.Ended() {
			continue
		}
		if open++; open > shown {
			continue
		}
		if full, err := u.client.Status(ctx, s.ID); err == nil {
			s = full // the full status includes BlockedBy
		} else if !errors.Is(err, producer.ErrNotFound) {
			lines = append(lines, fmt.Sprintf("  status of %s: %v", s.ID, err))
		}
		lines = append(lines, describe(s)...)
	}
	if open > shown {
		lines = append(lines, fmt.Sprintf("  and %d more", open-shown))
	}
	head := fmt.Sprintf("%s, %d not ended", counted(all, "campaign", "campaigns"), open)
	return strings.Join(slices.Concat([]string{head}, lines, u.gateway.describe()), "\n")
}

// describe returns lines about the state of a campaign that has not ended.
func describe(s producer.Status) []string {
	line := fmt.Sprintf("  campaign %s: %s, %d of %s pending, %s in flight", s.ID, s.State, s.Pending,
		counted(s.Total, "recipient", "recipients"), counted(s.InFlight.Calls, "call", "calls"))
	if s.State == producer.Scheduled && s.StartAt != nil {
		line += ", starts at " + s.StartAt.Format(time.RFC3339)
	}
	lines := []string{line}
	for _, b := range s.BlockedBy {
		lines = append(lines, "    blocked by "+blocked(b))
	}
	return lines
}

func blocked(b producer.Block) string {
	what := b.Reason
	if b.Account != "" {
		what = "account " + b.Account + ": " + b.Reason
	}
	if b.Code != "" {
		what += " (" + b.Code + ")"
	}
	if b.By != "" {
		what += ", by " + b.By
	}
	if b.Until != nil {
		return what + ", tried again at " + b.Until.Format(time.RFC3339)
	}
	return what + ", which lasts until the test or the service acts"
}

// describe lists the script and the settings of the gateway. The list is empty if the gateway
// accepts every call.
func (g *gateway) describe() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var lines []string
	if g.blocked != nil {
		lines = append(lines, fmt.Sprintf("  the gateway is blocked, and %s waiting for its reply: use the method Unblock", counted(g.waiting, "call is", "calls are")))
	}
	left := 0
	for _, s := range g.script {
		left += s.calls
	}
	if left > 0 {
		lines = append(lines, fmt.Sprintf("  the script of the gateway still has answers for %s", counted(left, "call", "calls")))
	}
	if g.credit <= 0 {
		lines = append(lines, "  the gateway has no credit: call SetCredit")
	}
	return lines
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
