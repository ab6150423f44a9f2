package ledger

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// corruptions are ways in which a record can become unreadable.
var corruptions = map[string]func(string) string{
	"cut short":    func(s string) string { return s[:len(s)-1] },
	"empty":        func(string) string { return "" },
	"random bytes": randomBytes,
}

// randomBytes returns about as many random bytes as s has. The first byte is larger than every
// format byte.
func randomBytes(s string) string {
	rng := rand.New(rand.NewPCG(1, uint64(len(s))))
	b := make([]byte, max(3, len(s)|1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	b[0] = 0xf0
	return string(b)
}

func (r *testLedger) corrupt(id, field string, how func(string) string) {
	r.Helper()
	v, err := r.rdb.HGet(r.Context(), ledgerKey(id), field).Result()
	r.ok(err)
	r.ok(r.rdb.HSet(r.Context(), ledgerKey(id), field, how(v)).Err())
}

// inHalves creates a campaign with a batch of two calls and a batch of one call. Each call has four
// recipients. Two recipients of the first call are settled, and the other two wait in generation 1.
func (r *testLedger) inHalves(id string) {
	r.Helper()
	r.sending(id, []int{4, 4}, []int{4})
	c := r.claim(id, "0.0", 0, 0, keyed, long)
	r.settle(c, campaign.SettleAnswer, accepted("a"), accepted("b"), refusedForNow(), refusedForNow())
}

func TestQuarantine_UnreadableRecordsAreNamed(t *testing.T) {
	t.Parallel()
	all := newTestLedger(t)
	for field, whole := range map[string]bool{"b0.0": true, "w0.0": true, "l0.0": true, "x0.0": true, "g0.0.0.1": false, "i0.0.0.1": false, "r0.0.0": false} {
		for name, how := range corruptions {
			if name == "cut short" && strings.ContainsRune("wl", rune(field[0])) || name != "random bytes" && field[0] == 'x' {
				continue // this damage is invisible: a number cut short is another valid number, and an empty list is a valid list
			}
			t.Run(field+" "+name, func(t *testing.T) {
				t.Parallel()
				r := *all
				r.TB = t
				id := nameID(t.Name()[strings.IndexByte(t.Name(), '/')+1:])
				id = strings.ReplaceAll(id, "_", "-")
				r.inHalves(id)
				r.corrupt(id, field, how)
				w, err := r.LoadWork(t.Context(), id, "0.0")
				if whole {
					if u := AsUnreadable(err); u == nil || u.Record != field || u.Campaign != id {
						t.Fatalf("reading the batch returned %v, want an Unreadable of the damaged record", err)
					}
				} else {
					r.ok(err)
					if len(w.Bad) != 1 || w.Bad[0].Record != field {
						t.Fatalf("bad records are %v, want only the damaged one", w.Bad)
					}
					if len(w.Open) != 1 || w.Open[0].Call != 1 {
						t.Fatalf("open generations are %+v, want only the other call's", w.Open)
					}
				}
				if work, err := r.LoadWork(t.Context(), id, "0.1"); err != nil || len(work.Open) != 1 {
					t.Fatalf("reading the other batch returned %+v, %v; want one open generation", work, err)
				}
				if strings.ContainsRune("bgr", rune(field[0])) {
					var last error
					for _, err := range r.ResultsAfter(t.Context(), id, 0) {
						last = err
					}
					if u := AsUnreadable(last); u == nil || u.Record != field || !strings.Contains(last.Error(), field) {
						t.Errorf("the results end with %v, want an Unreadable of the damaged record", last)
					}
				}
			})
		}
	}
}

func TestQuarantine_RecordOfANewerReleaseIsErrNewer(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.inHalves("c")
	for first, newer := range map[byte]bool{3: true, lastFormat: true, lastFormat + 1: false, 255: false} {
		r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), "b0.0", string([]byte{first, 1, 1})).Err())
		_, err := r.LoadWork(t.Context(), "c", "0.0")
		if errors.Is(err, ErrNewer) != newer || (AsUnreadable(err) == nil) != newer {
			t.Errorf("format %d gives %v, want ErrNewer for a later format, an Unreadable for any other", first, err)
		}
	}
}

// A script that cannot read a record leaves the record unchanged. The script writes nothing
// before it reports the error.
func TestQuarantine_ScriptsLeaveUnreadableRecordsUnchanged(t *testing.T) {
	t.Parallel()
	all := newTestLedger(t)
	records := []campaign.Record{accepted("x"), accepted("y")}
	for script, do := range map[string]func(r *testLedger, c *Claim) error{
		"claim": func(r *testLedger, c *Claim) error {
			_, err := r.Claim(r.Context(), ClaimRequest{ID: c.id, Batch: "0.0", Gen: c.gen, Login: "login", Lease: long})
			return err
		},
		"settle": func(r *testLedger, c *Claim) error {
			_, err := r.Settle(r.Context(), c, records, campaign.SettleAnswer, 1, 0)
			return err
		},
		"release": func(r *testLedger, c *Claim) error { _, err := r.Release(r.Context(), c, 0, ReleaseUnsent); return err },
		"split":   func(r *testLedger, c *Claim) error { _, err := r.Split(r.Context(), c); return err },
		"doubt":   func(r *testLedger, c *Claim) error { _, err := r.Doubt(r.Context(), c, 0, true); return err },
	} {
		for _, field := range []string{"g0.0.0.1", "r0.0.0"} {
			for name, how := range corruptions {
				if field[0] == 'r' && (script == "claim" || script == "doubt") {
					continue // claim.lua and doubt.lua do not read the results (field "r") of a claimed generation
				}
				t.Run(script+" "+field+" "+name, func(t *testing.T) {
					t.Parallel()
					r := *all
					r.TB = t
					id := "c" + strconv.FormatUint(rand.Uint64(), 36)
					r.inHalves(id)
					c := r.claim(id, "0.0", 0, 1, keyed, long)
					r.corrupt(id, field, how)
					before := r.state(id)
					if u := AsUnreadable(do(&r, c)); u == nil || u.Record != field {
						t.Errorf("%s ends with %v, want an Unreadable of the damaged record", script, u)
					}
					if after := r.state(id); after != before {
						t.Errorf("%s changed the ledger from\n%s\nto\n%s", script, before, after)
					}
				})
			}
		}
	}
}

func TestQuarantine_BatchGivesUpItsPlace(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("c", campaign.Spec{}, 6)
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1}}
	for i := range 3 {
		page.Batches = append(page.Batches, campaign.PlannedBatch{Calls: []int{2}, To: plannedRows(1+2*i, 2)})
	}
	wakes, _, err := r.startPlan("c", 1).CommitPage(t.Context(), script.NewToken(), page)
	r.ok(err)
	if len(wakes) != 1 || wakes[0].Batch != "0.0" {
		t.Fatalf("handed out %v, want only batch 0.0", wakes)
	}
	whole := r.rdb.HGet(t.Context(), ledgerKey("c"), "b0.0").Val()
	r.corrupt("c", "b0.0", corruptions["cut short"])
	_, err = r.LoadWork(t.Context(), "c", "0.0")
	u := AsUnreadable(err)

	hook := &replayHook{armed: true, snapshot: func() (string, error) {
		a, err := r.rdb.HGetAll(t.Context(), quarantineKey("c")).Result()
		return r.state("c") + aTime.ReplaceAllString(a["b0.0"], "<time>"), err
	}}
	r.rdb.AddHook(hook)
	wakes, first, err := r.Quarantine(t.Context(), u, "0.0", true, 1)
	r.ok(err)
	if !first || len(wakes) != 1 || wakes[0].Batch != "0.1" {
		t.Errorf("first %t, handed out %v; want true and batch 0.1", first, wakes)
	}
	if wakes, first, err := r.Quarantine(t.Context(), u, "0.0", true, 1); err != nil || first || len(wakes) > 0 {
		t.Errorf("the repeated Quarantine returned first %t, handed out %v, %v; want false and nothing", first, wakes, err)
	}
	hook.armed = false
	for _, p := range hook.problems {
		t.Error(p)
	}
	s := r.summary("c")
	if s.Quarantined != 1 || s.QuarantinedWork != 1 || s.Pending != 6 {
		t.Errorf("summary is %+v, want 1 record and 1 batch quarantined, 6 recipients pending", s)
	}
	list, err := r.QuarantinedRecords(t.Context(), "c")
	r.ok(err)
	if len(list) != 1 || list[0].Record != "b0.0" || list[0].Work != "0.0" || string(list[0].Bytes) != string(u.Bytes) || list[0].At.IsZero() {
		t.Errorf("the quarantine list is %+v, want only b0.0 with its bytes and time", list)
	}

	r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), "b0.0", whole).Err())
	_, err = r.Resume(t.Context(), "c", "test")
	r.ok(err)
	if s := r.summary("c"); s.Quarantined != 0 || s.QuarantinedWork != 0 {
		t.Errorf("after Resume the summary is %+v, want nothing quarantined", s)
	}
	for _, b := range []string{"0.0", "0.1", "0.2"} {
		r.settle(r.claim("c", b, 0, 0, keyed, long), campaign.SettleAnswer, accepted("a"), accepted("b"))
	}
	if s := r.summary("c"); s.State != campaign.Done || s.Accepted != 6 {
		t.Errorf("at the end the summary is %+v, want done with 6 accepted", s)
	}
}

func TestQuarantine_ListIsBounded(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	for i := range 1100 {
		u := &Unreadable{Campaign: "c", Record: "g" + strconv.Itoa(i), Bytes: make([]byte, 5000), Err: campaign.ErrRecord}
		if _, first, err := r.Quarantine(t.Context(), u, "", false, 0); err != nil || !first {
			t.Fatalf("entry %d: first %t, %v; want true", i, first, err)
		}
	}
	list, err := r.QuarantinedRecords(t.Context(), "c")
	r.ok(err)
	kept := 0
	for _, x := range list {
		kept += len(x.Bytes)
	}
	if len(list) != 1000 || kept != 100*quarantineBytes || r.summary("c").Quarantined != 1100 {
		t.Errorf("the list has %d entries with %d bytes, and %d are counted; want 1000, the bytes of 100, and 1100", len(list), kept, r.summary("c").Quarantined)
	}
}

func TestQuarantine_CancelEndsQuarantinedRecipients(t *testing.T) {
	t.Parallel()
	for name, inFlight := range map[string]bool{"no call in flight": false, "a call in flight": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.sending("c", []int{2}, []int{3})
			if inFlight {
				r.claim("c", "0.0", 0, 0, keyed, long)
			}
			r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), "g0.0.0.0", "x").Err())
			w, err := r.LoadWork(t.Context(), "c", "0.0")
			r.ok(err)
			_, _, err = r.Quarantine(t.Context(), w.Bad[0], "0.0", true, 1)
			r.ok(err)
			if done, err := r.WriteOff(t.Context(), "c", 0); err != nil || done {
				t.Errorf("WriteOff of a running campaign returned %t, %v; want false", done, err)
			}
			_, err = r.Cancel(t.Context(), "c", "test")
			r.ok(err)
			unknown, skipped := 0, 5
			if inFlight {
				// The open set still has the batch that may be in flight, so the campaign must not end yet.
				if done, err := r.WriteOff(t.Context(), "c", 0); err != nil || done {
					t.Errorf("WriteOff with another batch open returned %t, %v; want false", done, err)
				}
				r.ok(r.rdb.ZRem(t.Context(), openKey("c"), "0.1").Err())
				if done, err := r.WriteOff(t.Context(), "c", time.Hour); err != nil || done {
					t.Errorf("WriteOff before the quiet time had passed returned %t, %v; want false", done, err)
				}
				for range 2 {
					if done, err := r.WriteOff(t.Context(), "c", 0); err != nil || !done {
						t.Errorf("WriteOff returned %t, %v; want true", done, err)
					}
				}
				unknown, skipped = 2, 3
			}
			s := r.summary("c")
			if s.State != campaign.Cancelled || s.Pending != 0 || s.Unknown != unknown || s.Skipped != skipped || s.FinishedAt.IsZero() {
				t.Errorf("summary is %+v, want cancelled and finished with nothing pending", s)
			}
		})
	}
}

func TestQuarantine_RetrySkipsUnreadableRecords(t *testing.T) {
	t.Parallel()
	for name, field := range map[string]string{"a batch": "b0.0", "results": "r0.0.1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.sending("c", []int{2, 2}, []int{2})
			for _, x := range []struct {
				batch string
				call  int
			}{{"0.0", 0}, {"0.0", 1}, {"0.1", 0}} {
				r.settle(r.claim("c", x.batch, x.call, 0, noKey, long), campaign.SettleAnswer, rejected("no"), rejected("no"))
			}
			r.corrupt("c", field, corruptions["cut short"])
			n, err := r.Retry(t.Context(), "c", script.NewToken(), false, true)
			if u := AsUnreadable(err); n != 2 || u == nil || u.Record != field {
				t.Errorf("retried %d with %v, want 2 and an Unreadable of the damaged record", n, err)
			}
			if s := r.summary("c"); s.RetryRecord != "" || s.Pending != 2 || s.Rejected != 4 {
				t.Errorf("summary is %+v, want no retry running, 2 pending and 4 rejected", s)
			}
		})
	}
}

func TestQuarantine_UnreadableCampaignKeepsItsCounts(t *testing.T) {
	t.Parallel()
	for name, how := range corruptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.sending("frozen", []int{2})
			r.corrupt("frozen", "frozen", how)
			if s := r.summary("frozen"); s.Unreadable == nil || s.Unreadable.Record != "frozen" || s.Pending != 2 {
				t.Errorf("summary is %+v, want the field frozen unreadable and 2 pending", s)
			}
			r.sending("spec", []int{2})
			r.ok(r.rdb.Set(t.Context(), specKey("spec"), how(r.rdb.Get(t.Context(), specKey("spec")).Val()), 0).Err())
			if s := r.summary("spec"); s.Unreadable == nil || s.Unreadable.Record != "spec" || s.Pending != 2 {
				t.Errorf("summary is %+v, want the spec unreadable and 2 pending", s)
			}
			for _, id := range []string{"frozen", "spec"} {
				_, err := r.Cancel(t.Context(), id, "test")
				r.ok(err)
				if s := r.summary(id); s.State != campaign.Cancelled || s.Skipped != 2 {
					t.Errorf("after Cancel, %s is %+v; want cancelled with 2 skipped", id, s)
				}
			}
			r.sending("v", []int{2})
			r.ok(r.rdb.HSet(t.Context(), ledgerKey("v"), "v", "x").Err())
			if _, err := r.Summary(t.Context(), "v"); AsUnreadable(err) == nil {
				t.Errorf("a format that is not a number gives %v, want an Unreadable", err)
			}
			if _, err := r.Pause(t.Context(), "v", "test"); AsUnreadable(err) == nil {
				t.Errorf("a pause of that campaign gives %v, want an Unreadable", err)
			}
		})
	}
}

func TestQuarantinePayload_CountsEachPayloadOnce(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for i := range payloadsKept + 5 {
		first, err := NewPayloads(r.Runner()).Keep(t.Context(), "task", []byte("p"+strconv.Itoa(i)), campaign.ErrRecord)
		if err != nil || !first {
			t.Fatalf("payload %d: first %t, %v; want true", i, first, err)
		}
	}
	if first, err := NewPayloads(r.Runner()).Keep(t.Context(), "task", []byte("p0"), campaign.ErrRecord); err != nil || first {
		t.Errorf("the same payload again: first %t, %v; want false", first, err)
	}
	if n, err := NewPayloads(r.Runner()).Count(t.Context()); err != nil || n != payloadsKept+5 {
		t.Errorf("%d payloads counted, %v; want payloadsKept+5", n, err)
	}
}
