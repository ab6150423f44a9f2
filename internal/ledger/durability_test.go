package ledger

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/sms"
)

// newTestLedgerWithReplica returns a testLedger whose Redis has one replica. The ledger waits for
// this replica.
func newTestLedgerWithReplica(t *testing.T) (r *testLedger, replica *redistest.Server) {
	t.Helper()
	r = newTestLedger(t, redistest.WithConfig("repl-diskless-sync-delay", "0"))
	host, port, _ := strings.Cut(r.server.Addr(), ":")
	replica = redistest.Start(t, redistest.WithConfig("replicaof", host+" "+port))
	r.Ledger = NewDurable(r.rdb, script.Durability{Replicas: 1})
	deadline := time.After(20 * time.Second)
	for r.rdb.Wait(t.Context(), 1, 100*time.Millisecond).Val() != 1 {
		select {
		case <-deadline:
			t.Fatal("the replica does not follow")
		default:
		}
	}
	return r, replica
}

func TestDurability_ClaimIsGrantedOnceAReplicaHasIt(t *testing.T) {
	t.Parallel()
	r, replica := newTestLedgerWithReplica(t)
	r.sending("c", []int{2, 2})
	c := r.claim("c", "0.0", 0, 0, noKey, long)
	copied, err := replica.Client().HGet(t.Context(), ledgerKey("c"), "g0.0.0.0").Result()
	if original := r.rdb.HGet(t.Context(), ledgerKey("c"), "g0.0.0.0").Val(); err != nil || original == "" || copied != original {
		t.Errorf("the replica has %q, %v; the master has %q; want the same", copied, err, original)
	}
	r.settle(c, campaign.SettleAnswer, accepted("m"), accepted("n"))
	if c.Result != ClaimGranted {
		t.Errorf("the claim got %q, want go", c.Result)
	}
}

func TestDurability_ClaimWithoutAReplicaIsNotGranted(t *testing.T) {
	t.Parallel()
	r, replica := newTestLedgerWithReplica(t)
	r.sending("c", []int{2, 2})
	replica.Stop()
	work, err := r.LoadWork(t.Context(), "c", "0.0")
	r.ok(err)
	c, err := r.Claim(t.Context(), ClaimRequest{ID: "c", Batch: "0.0", Gen: work.Open[0], IdempotencyKey: requestID("0.0", work.Open[0], "one"), Login: "one",
		Lease: time.Hour, OpenBatchLimit: 1})
	if !errors.Is(err, script.ErrNotDurable) || c == nil || c.Result == ClaimGranted {
		t.Fatalf("the claim is %+v, %v; want a claim that is not granted, and script.ErrNotDurable", c, err)
	}
	if !strings.Contains(err.Error(), "confirmed by 0 of 1 servers") || !strings.Contains(err.Error(), "replicas:1") {
		t.Errorf("error is %v, want confirmed by 0 of 1 servers, and replicas:1", err)
	}
	// After the release the call is as if it had never been claimed, even at a gateway without
	// idempotency keys.
	out, err := r.Release(t.Context(), c, 0, ReleaseUnsent)
	if !errors.Is(err, script.ErrNotDurable) || out.Stale {
		t.Errorf("Release returned %+v, %v; want script.ErrNotDurable and not stale", out, err)
	}
	replica.Cont()
	again := r.claim("c", "0.0", 0, 0, noKey, long)
	if again.Result != ClaimGranted || again.Doubt {
		t.Errorf("claimed again: got %+v, want granted without doubt", again)
	}
	r.settle(again, campaign.SettleAnswer, accepted("m"), accepted("n"))
}

func TestDurability_WritesWithoutAReplicaAreReported(t *testing.T) {
	t.Parallel()
	r, replica := newTestLedgerWithReplica(t)
	r.sending("c", []int{2, 2})
	r.ok(accounts.New(r.Runner()).Publish(t.Context(), "w", campaign.Card{Name: "a"}))
	c := r.claim("c", "0.0", 0, 0, noKey, long)
	replica.Stop()
	// The settle comes first: a settle of an old claim also writes the index of campaigns.
	if _, err := r.Settle(t.Context(), c, []campaign.Record{accepted("m"), accepted("n")}, campaign.SettleAnswer, 1, 0); !errors.Is(err, script.ErrNotDurable) {
		t.Errorf("settle: got %v, want script.ErrNotDurable", err)
	}
	for name, order := range map[string]func() error{
		"pause":  func() error { _, err := r.Pause(t.Context(), "c", "me"); return err },
		"cancel": func() error { _, err := r.Cancel(t.Context(), "c", "me"); return err },
		"hold":   func() error { return accounts.New(r.Runner()).Hold(t.Context(), "a", "audit", "me") },
		"opt out": func() error {
			_, err := optout.New(r.Runner()).Add(t.Context(), campaign.AllSenders, []optout.Entry{{MSISDN: msisdnOfRow(9)}}, true)
			return err
		},
		"exclude": func() error {
			_, err := r.Exclude(t.Context(), "c", campaign.AllSenders, []sms.MSISDN{msisdnOfRow(9)})
			return err
		},
	} {
		if err := order(); !errors.Is(err, script.ErrNotDurable) {
			t.Errorf("%s: got %v, want script.ErrNotDurable", name, err)
		}
	}
	if _, err := r.Pause(t.Context(), "no-such", "me"); !errors.Is(err, ErrNotFound) {
		t.Errorf("pause of an unknown campaign: got %v, want ErrNotFound", err)
	}
	replica.Cont()
	// When the same methods are called again, the changes become durable, and nothing else changes.
	if _, err := r.Settle(t.Context(), c, []campaign.Record{accepted("m"), accepted("n")}, campaign.SettleAnswer, 1, 0); err != nil {
		t.Error(err)
	}
	r.expect("c", "accepted accepted skipped skipped")
}

func TestDurability_AlwaysSyncedClaimSurvivesARestart(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t, redistest.WithAOF("always"))
	r.Ledger = NewDurable(r.rdb, script.Durability{Fsync: true})
	r.sending("c", []int{2, 2})
	c := r.claim("c", "0.0", 0, 0, noKey, long)
	if c.Result != ClaimGranted {
		t.Fatalf("the claim is %+v, want it granted", c)
	}
	r.server.Kill()
	r.server.Restart()
	if _, err := r.Settle(t.Context(), c, []campaign.Record{accepted("m"), accepted("n")}, campaign.SettleAnswer, 1, 0); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkClaimAndSettle measures what a call costs the ledger: its claim and its settle, with
// eight calls in flight. Compare only lines of the same run.
func BenchmarkClaimAndSettle(b *testing.B) {
	durable := func(d script.Durability) func(*testLedger) {
		return func(r *testLedger) { r.Ledger = NewDurable(r.rdb, d) }
	}
	for name, c := range map[string]struct {
		fsync  string
		change func(*testLedger)
	}{
		"none,everysec":       {"everysec", func(*testLedger) {}},
		"fsync,always":        {"always", durable(script.Durability{Fsync: true})},
		"replicas:1,everysec": {"everysec", durable(script.Durability{Replicas: 1})},
	} {
		b.Run(name, func(b *testing.B) {
			r := newTestLedger(b, redistest.WithAOF(c.fsync), redistest.WithConfig("repl-diskless-sync-delay", "0"))
			if strings.HasPrefix(name, "replicas") {
				host, port, _ := strings.Cut(r.server.Addr(), ":")
				redistest.Start(b, redistest.WithConfig("replicaof", host+" "+port))
				for r.rdb.Wait(b.Context(), 1, 100*time.Millisecond).Val() != 1 {
				}
			}
			const batches, calls = 40, 500
			plan := make([][]int, batches)
			for i := range plan {
				plan[i] = slices.Repeat([]int{1}, calls)
			}
			r.sending("c", plan...)
			c.change(r)
			var work []*Generation
			var names []string
			for i := range batches {
				w, err := r.LoadWork(b.Context(), "c", "0."+strconv.Itoa(i))
				r.ok(err)
				for _, g := range w.Open {
					work, names = append(work, g), append(names, w.Batch.Name)
				}
			}
			var next atomic.Int64
			b.SetParallelism(4) // 4 goroutines for each of the 2 processors
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(next.Add(1)-1) % len(work)
					claim := r.tryClaim("c", names[i], work[i], noKey, long)
					if claim.Result != ClaimGranted {
						continue
					}
					if _, err := r.Settle(b.Context(), claim, []campaign.Record{accepted("m")}, campaign.SettleAnswer, 1, 0); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

func TestDurability_SettleAndClaimWithoutAReplicaIsNotGranted(t *testing.T) {
	t.Parallel()
	r, replica := newTestLedgerWithReplica(t)
	r.sending("c", []int{1, 1})
	c := r.claim("c", "0.0", 0, 0, noKey, long)
	g := r.open("c", "0.0", 1, 0)
	replica.Stop()
	next, ok, err := r.SettleAndClaim(t.Context(), c, []campaign.Record{accepted("m")}, 1, r.settleAndClaimRequest(c, g, long))
	if ok || next == nil || next.Result == ClaimGranted || !errors.Is(err, script.ErrNotDurable) {
		t.Fatalf("got %+v, %t, %v; want a claim that is not granted, ok false and script.ErrNotDurable", next, ok, err)
	}
	replica.Cont()
	r.settle(c, campaign.SettleAnswer, accepted("m"))
	if _, err := r.Release(t.Context(), next, 0, ReleaseUnsent); err != nil {
		t.Error(err)
	}
	if again := r.claim("c", "0.0", 1, 0, noKey, long); again.Doubt {
		t.Errorf("claimed again: got %+v, want no doubt", again)
	}
	r.expect("c", "accepted pending")
}
