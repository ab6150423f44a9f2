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

// claim is a call that the ledger holds to be with a gateway, or in doubt.
type claim struct {
	campaign, field string // where its record stands
	state, token    string
	uuid            string
}

// openCalls returns the records of a campaign's generations that are submitting or
// in doubt. It reads the ledger's own fields (internal/ledger/layout.go and
// prelude.lua: gB.K.G, of which word 1 is the state, 2 the token, 10 the uuid): whose
// calls died with a worker is nothing that the project tells its users.
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

// claims keeps the calls that may rightly end unknown: those claimed when
// something died or stood still.
type claims struct {
	rdb  *redis.Client
	open func() []string // campaigns

	mu      sync.Mutex
	exposed map[string]bool // by uuid
}

// look reads every call that is open now.
func (c *claims) readOpen(ctx context.Context) ([]claim, error) {
	var all []claim
	for _, id := range c.open() {
		got, err := openCalls.RunRO(ctx, c.rdb, []string{ledgerKey(id)}).StringSlice()
		if err != nil {
			return nil, fmt.Errorf("look at the calls of %s: %w", id, err)
		}
		for i := 0; i+1 < len(got); i += 2 {
			if x, ok := readClaim(id, got[i], got[i+1]); ok {
				all = append(all, x)
			}
		}
	}
	return all, nil
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

// expose notes the calls that are open now as hit by what is about to happen. A
// Redis that does not answer has been stopped or killed already, and whoever did
// that has noted them.
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

// exposeAfter is expose for what a dead worker's last words, still under way to
// Redis, have claimed; it waits for Redis to answer, and returns the calls that were
// open at its last look.
func (c *claims) recordExposedAfter(ctx context.Context) []claim {
	const looks = 4
	last := map[string]claim{}
	tick := time.NewTicker(80 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < looks; {
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

// records reads the words of the claims' records as they are now; one that is gone is empty.
func (c *claims) records(ctx context.Context, of []claim) ([][]string, error) {
	out := make([][]string, len(of))
	cmds := make([]*redis.StringCmd, len(of))
	_, _ = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command tells below
		for i, x := range of {
			cmds[i] = p.HGet(ctx, ledgerKey(x.campaign), x.field)
		}
		return nil
	})
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil && err != redis.Nil { //nolint:errorlint // it is never wrapped
			return nil, err
		}
		out[i] = strings.Fields(cmd.Val())
	}
	return out, nil
}

// orphans are those of the claims that nobody has ended: still submitting under the
// same token, longer than a living worker would.
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

// resolved says whether none of the claims is submitting or in doubt any more.
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

// recovery is how long after a worker's death its calls were resolved.
type recovery struct {
	took time.Duration
	left []claim
	// alone: nothing else went wrong meanwhile.
	alone bool
}

// recover follows the calls that were open when a worker was killed until those
// that it left behind are resolved. ok is false if it left none, or the run ended.
func (c *claims) recover(ctx context.Context, killed time.Time, open []claim) (r recovery, ok bool) {
	// By then every living worker's call is over.
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
