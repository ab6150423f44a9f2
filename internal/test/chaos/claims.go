//go:build unix

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// claim is a call whose record in the ledger is submitting or in doubt.
type claim struct {
	campaign, field string // the campaign's ID, and the field of the record in its ledger hash
	state, token    string // state is "s" for submitting or "d" for in doubt; token identifies the claim
	uuid            string // the call's idempotency key
}

// openCalls returns the records of a campaign's generations that are submitting or in doubt. It reads the
// ledger's fields directly, because no API reports which calls a dead worker had claimed. The fields are named
// gB.K.G. In a record, word 1 is the state, word 2 the token and word 10 the idempotency key
// (internal/ledger/layout.go and prelude.lua).
var openCalls = redis.NewScript(`#!lua flags=no-writes
local out, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 1) == 'g' then
    local state = string.sub(all[i + 1], 1, 2)
    if state == 's ' or state == 'd ' then
      out[#out + 1] = all[i]
      out[#out + 1] = all[i + 1]
    end
  end
end
return out`)

func ledgerKey(campaign string) string { return "tuma:{" + campaign + "}:l" }

// The type "claims" records the exposed calls. A call is exposed if it was claimed when a worker or Redis was killed
// or stopped, or when Redis' answers were held back. An exposed call may end unknown. Safe for concurrent use.
type claims struct {
	rdb  *redis.Client
	open func() []string // returns the IDs of the campaigns that have not ended

	mu      sync.Mutex
	exposed map[string]bool // by idempotency key
}

// readOpen returns every call of the open campaigns that is submitting or in doubt now.
func (c *claims) readOpen(ctx context.Context) ([]claim, error) {
	var all []claim
	for _, id := range c.open() {
		got, err := c.readCampaign(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
	}
	return all, nil
}

// readCampaign returns every call of a campaign that is submitting or in doubt now.
func (c *claims) readCampaign(ctx context.Context, id string) (all []claim, err error) {
	got, err := openCalls.RunRO(ctx, c.rdb, []string{ledgerKey(id)}).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("read the open calls of %s: %w", id, err)
	}
	for i := 0; i+1 < len(got); i += 2 {
		if x, ok := readClaim(id, got[i], got[i+1]); ok {
			all = append(all, x)
		}
	}
	return all, nil
}

// openOf returns the idempotency keys of a campaign's calls that are submitting or in doubt now.
func (c *claims) openOf(ctx context.Context, id string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	all, err := c.readCampaign(ctx, id)
	keys := map[string]bool{}
	for _, x := range all {
		keys[x.uuid] = true
	}
	return keys, err
}

func readClaim(campaign, field, record string) (claim, bool) {
	f := strings.Fields(record)
	if len(f) < 14 {
		return claim{}, false
	}
	b, err := base64.RawURLEncoding.DecodeString(f[9])
	if err != nil {
		return claim{}, false
	}
	id, err := uuid.FromBytes(b)
	return claim{campaign: campaign, field: field, state: f[0], token: f[1], uuid: id.String()}, err == nil
}

// recordExposed records that all calls which are open now are exposed, so that they may end unknown. Before a fault
// kills or stops a process, the fault calls recordExposed. Errors are ignored: if Redis does not answer within a
// second, another fault has stopped or killed Redis, and has recorded the calls.
func (c *claims) recordExposed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = c.recordOpen(ctx)
}

func (c *claims) recordOpen(ctx context.Context) ([]claim, error) {
	all, err := c.readOpen(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range all {
		c.exposed[x.uuid] = true
	}
	return all, nil
}

// After a fault, recordExposedAfter records the open calls four times, 80 ms apart. A dead worker's last commands may
// reach Redis late and claim more calls. If Redis does not answer, recordExposedAfter tries again. It returns the
// calls that were open at the fourth time, or nil if ctx ends.
func (c *claims) recordExposedAfter(ctx context.Context) []claim {
	const reads = 4
	last := map[string]claim{}
	tick := time.NewTicker(80 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < reads; {
		if all, err := c.recordOpen(ctx); err == nil {
			n++
			clear(last)
			for _, x := range all {
				last[x.campaign+" "+x.field] = x
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return slices.Collect(maps.Values(last))
}

func (c *claims) isExposed(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exposed[id]
}

func (c *claims) exposures() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.exposed)
}

// The method "records" reads the current record of each claim, and returns its words. A claim whose record does not
// exist any more gets an empty list.
func (c *claims) records(ctx context.Context, of []claim) ([][]string, error) {
	out := make([][]string, len(of))
	cmds := make([]*redis.StringCmd, len(of))
	_, _ = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // the loop below checks each command
		for i, x := range of {
			cmds[i] = p.HGet(ctx, ledgerKey(x.campaign), x.field)
		}
		return nil
	})
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil && err != redis.Nil { //nolint:errorlint // go-redis never wraps it
			return nil, err
		}
		out[i] = strings.Fields(cmd.Val())
	}
	return out, nil
}

// The method "orphans" returns the claims of dead workers: the record of such a claim is still submitting with the
// same token. The caller must first wait until every call of a living worker has ended.
func (c *claims) orphans(ctx context.Context, of []claim) ([]claim, error) {
	now, err := c.records(ctx, of)
	if err != nil {
		return nil, err
	}
	var left []claim
	for i, x := range of {
		if w := now[i]; x.state == "s" && len(w) > 1 && w[0] == "s" && w[1] == x.token {
			left = append(left, x)
		}
	}
	return left, nil
}

// The method "resolved" reports whether every claim is resolved: its record is neither submitting nor in doubt.
func (c *claims) resolved(ctx context.Context, of []claim) (bool, error) {
	now, err := c.records(ctx, of)
	if err != nil {
		return false, err
	}
	for _, w := range now {
		if len(w) > 0 && (w[0] == "s" || w[0] == "d") {
			return false, nil
		}
	}
	return true, nil
}

// recovery is the recovery from the kill of one worker.
type recovery struct {
	took time.Duration // the time from the kill until all calls in the field "left" were resolved
	left []claim       // the calls that the worker had not settled
	// alone means that no other fault happened between the kill and the end of the recovery.
	alone bool
}

// The method "recover" waits until the open calls of a killed worker are resolved. The parameter "open" holds all
// calls that were open at the kill. The result "ok" is false if the killed worker had no open call, or if ctx ends.
func (c *claims) recover(ctx context.Context, killed time.Time, open []claim) (r recovery, ok bool) {
	// Wait until each call of a living worker has ended. The calls that are then still open belong to the killed
	// worker.
	select {
	case <-ctx.Done():
		return r, false
	case <-time.After(time.Until(killed.Add(callTimeout + 500*time.Millisecond))):
	}
	var left []claim
	known := false
	for tick := time.Tick(100 * time.Millisecond); ; {
		var err error
		done := false
		if !known {
			left, err = c.orphans(ctx, open)
			known = err == nil
		}
		if known {
			if len(left) == 0 {
				return r, false
			}
			done, err = c.resolved(ctx, left)
		}
		if err == nil && done {
			return recovery{took: time.Since(killed), left: left}, true
		}
		select {
		case <-ctx.Done():
			return r, false
		case <-tick:
		}
	}
}
