package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// A full Redis refuses new work. Outcomes at a gateway must still be written, and an operator must
// be able to stop a campaign.
func TestFullRedis_TakesOutcomesAndRefusesNewWork(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t, redistest.WithConfig("maxmemory", "64mb", "maxmemory-policy", "noeviction"))
	ctx := t.Context()
	ends := map[string]func(c *Claim) error{
		"settle": func(c *Claim) error {
			_, err := r.Settle(ctx, c, repeat(2, accepted(strings.Repeat("m", 100))), campaign.SettleAnswer, 1, 0)
			return err
		},
		"partial": func(c *Claim) error {
			_, err := r.Settle(ctx, c, []campaign.Record{accepted("m"), unknown("x")}, campaign.SettlePartial, 1, 0)
			return err
		},
		"later": func(c *Claim) error {
			_, err := r.Settle(ctx, c, repeat(2, refusedForNow()), campaign.SettleAnswer, 1, 0)
			return err
		},
		"doubt":   func(c *Claim) error { _, err := r.Doubt(ctx, c, 0, true); return err },
		"release": func(c *Claim) error { _, err := r.Release(ctx, c, 0, ReleaseAnswered); return err },
		"split":   func(c *Claim) error { _, err := r.Split(ctx, c); return err },
		"cancel":  func(c *Claim) error { _, err := r.Cancel(ctx, c.id, "me"); return err },
		"pause":   func(c *Claim) error { _, err := r.Pause(ctx, c.id, "me"); return err },
	}
	claims := map[string]*Claim{}
	for name := range ends {
		r.sending(name, []int{2, 1})
		claims[name] = r.claim(name, "0.0", 0, 0, keyed, long)
	}
	r.sending("new", []int{1})
	g := r.open("new", "0.0", 0, 0)
	u := r.upload("upload", campaign.Spec{Body: "x"}, "1")
	before := r.state("new")

	r.ok(r.rdb.ConfigSet(ctx, "maxmemory", "1mb").Err())
	_, err := r.Claim(ctx, ClaimRequest{ID: "new", Batch: "0.0", Gen: g, Login: "login", Lease: long})
	if err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("a claim returned %v, want an OOM error", err)
	}
	if r.state("new") != before {
		t.Error("a claim that was refused changed the ledger")
	}
	if _, err := u.Commit(ctx); err == nil {
		t.Error("a commit was accepted, want an error")
	}
	for name, end := range ends {
		if err := end(claims[name]); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
		r.sound(name)
	}

	r.ok(r.rdb.ConfigSet(ctx, "maxmemory", "0").Err())
	r.expect("settle", "accepted accepted pending")
	r.settle(r.claim("new", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	if _, err := u.Commit(ctx); err != nil {
		t.Errorf("with room again, Commit returned %v, want no error", err)
	}
}

// A whole campaign runs on miniredis, which the demo uses. Every script must work there.
func TestMiniredis_RunsEveryScript(t *testing.T) {
	t.Parallel()
	r := newTestLedgerOnMiniredis(t)
	ctx := t.Context()
	r.sending("c", []int{3, 2}, []int{1})
	r.expect("c", "pending pending pending pending pending pending")
	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("0191d7a0-0000-7000-8000-000000000001"), refusedForNow(), rejected("bad_number"))
	_, err := r.Split(ctx, r.claim("c", "0.0", 1, 0, keyed, long))
	r.ok(err)
	_, err = r.Release(ctx, r.claim("c", "0.0", 1, 1, keyed, long), 0, ReleaseAnswered)
	r.ok(err)
	r.settle(r.claim("c", "0.0", 1, 1, keyed, long), campaign.SettleAnswer, accepted("m4"))
	_, err = r.Doubt(ctx, r.claim("c", "0.0", 1, 2, keyed, long), 0, true)
	r.ok(err)
	r.settle(r.claim("c", "0.0", 1, 2, keyed, long), campaign.SettlePartial, unknown("unsaid"))
	r.settle(r.tryClaim("c", "0.0", r.open("c", "0.0", 1, 2), noKey, long), campaign.SettleAbandon, unknown("no_key"))
	r.expect("c", "accepted pending rejected accepted unknown pending")
	_, err = r.Pause(ctx, "c", "me")
	r.ok(err)
	if s := r.summary("c"); s.State != campaign.Paused {
		t.Errorf("state is %s, want paused", s.State)
	}
	_, err = r.Resume(ctx, "c", "me")
	r.ok(err)
	r.settle(r.claim("c", "0.0", 0, 1, keyed, long), campaign.SettleAnswer, accepted("m2"))
	r.settle(r.claim("c", "0.1", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m6"))
	if n, err := r.Retry(ctx, "c", "op", true, true); err != nil || n != 2 {
		t.Errorf("Retry returned %d, %v; want 2", n, err)
	}
	if _, ok, err := r.RaiseWake(ctx, "c", Wake{"0.0", 2}, time.Second); err != nil || !ok {
		t.Errorf("RaiseWake gave no new wake: %v", err)
	}
	if _, _, err := r.TopUp(ctx, "c", map[int]int{0: 9}); err != nil {
		t.Error(err)
	}
	_, err = r.Cancel(ctx, "c", "me")
	r.ok(err)
	r.expect("c", "accepted accepted skipped accepted unknown accepted")
	e, _ := r.indexed("c")
	r.ok(r.Index().Remove(ctx, e))
	if purged, err := r.Purge(ctx, "c", time.Now().Add(time.Hour)); err != nil || !purged {
		t.Errorf("Purge returned %t, %v; want true", purged, err)
	}
	if mine, err := r.Index().Sweeping(ctx, "worker", time.Hour); err != nil || !mine {
		t.Errorf("Sweeping returned %t, %v; want true", mine, err)
	}
}

// No value in Redis is larger than 64 KB. The hash of a finished campaign of one message is stored
// compactly.
func TestMemory_NoValueOver64KB(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for _, pages := range []int{1, 3} {
		id := fmt.Sprint("c", pages)
		u, err := r.BeginUpload(id, campaign.Spec{Body: "x"})
		r.ok(err)
		for row := range pages * campaign.MaxPageRows {
			r.ok(u.Add(t.Context(), fmt.Sprintf("%064x", uint64(row)*0x9E3779B97F4A7C15)))
		}
		_, err = u.Commit(t.Context())
		r.ok(err)
		all, err := r.rdb.HGetAll(t.Context(), ledgerKey(id)).Result()
		r.ok(err)
		for f, v := range all {
			if len(v) > 64<<10 {
				t.Errorf("%d pages: field %s has %d bytes, want at most 64 KB", pages, f, len(v))
			}
		}
	}
	r.sending("one", []int{1})
	r.settle(r.claim("one", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("0191d7a0-0000-7000-8000-000000000001"))
	if enc, err := r.rdb.ObjectEncoding(t.Context(), ledgerKey("one")).Result(); err != nil || enc != "listpack" {
		t.Errorf("a campaign of one is kept as %s, %v; want listpack", enc, err)
	}
}
