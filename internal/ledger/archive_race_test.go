package ledger

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// A message keeps its full form if its outcome is not known or if its text is kept. It also keeps its full form if
// another campaign may later take its ID. A campaign always keeps its full form.
func TestArchive_OnlyWhatHasEnded(t *testing.T) {
	t.Parallel()
	keep, big := messageSpec(), messageSpec()
	keep.PurgeBody, big.Message = false, false
	for name, send := range map[string]func(r *testLedger){
		"pending": func(r *testLedger) { r.sendingSpec("m", messageSpec(), []int{1}) },
		"in flight": func(r *testLedger) {
			r.sendingSpec("m", messageSpec(), []int{1})
			r.claim("m", "0.0", 0, 0, keyed, long)
		},
		"unknown":       func(r *testLedger) { r.endedMessage(messageSpec(), unknown("timeout")) },
		"text is kept":  func(r *testLedger) { r.endedMessage(keep, accepted(atID(1))) },
		"a campaign":    func(r *testLedger) { r.endedMessage(big, accepted(atID(1))) },
		"two numbers":   func(r *testLedger) { r.sendingSpec("m", messageSpec(), []int{2}); r.settleAll("m", 2) },
		"cancelled":     func(r *testLedger) { r.sendingSpec("m", messageSpec(), []int{1}); r.cancel("m") },
		"there is none": func(*testLedger) {},
		"a tombstone": func(r *testLedger) {
			r.endedMessage(messageSpec(), accepted(atID(1)))
			_, err := r.Purge(r.Context(), "m", time.Now().Add(time.Hour))
			r.ok(err)
		},
		"quarantined": func(r *testLedger) {
			r.endedMessage(messageSpec(), accepted(atID(1)))
			_, _, err := r.Quarantine(r.Context(), &Unreadable{Campaign: "m", Record: "b0.0", Err: campaign.ErrRecord}, "0.0", false, 1)
			r.ok(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			send(r)
			before := r.rdb.Get(t.Context(), specKey("m")).Val() + fmt.Sprint(r.hash("m"))
			if done, err := Archive(t.Context(), r.Ledger, "m"); done || err != nil {
				t.Errorf("Archive returned %t, %v", done, err)
			}
			if after := r.rdb.Get(t.Context(), specKey("m")).Val() + fmt.Sprint(r.hash("m")); after != before {
				t.Errorf("Archive left\n%s, want\n%s", after, before)
			}
		})
	}
}

// Archive changes nothing if the message has changed since it was read.
func TestArchive_ChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *testLedger){
		"a field":     func(r *testLedger) { r.ok(r.rdb.HSet(r.Context(), ledgerKey("m"), fieldCalls, "2").Err()) },
		"a new field": func(r *testLedger) { r.ok(r.rdb.HSet(r.Context(), ledgerKey("m"), "new", "2").Err()) },
		"the spec":    func(r *testLedger) { r.ok(r.rdb.Append(r.Context(), specKey("m"), " ").Err()) },
		"a report":    func(r *testLedger) { r.ok(r.rdb.SetRange(r.Context(), overlayKey("m", 0), 0, "\x40\x00").Err()) },
		"a delay":     func(r *testLedger) { r.ok(r.rdb.HSet(r.Context(), delaysKey("m"), "7", "1").Err()) },
		"open work":   func(r *testLedger) { r.ok(r.rdb.SAdd(r.Context(), openKey("m"), "0.0").Err()) },
		"a tombstone": func(r *testLedger) { r.ok(r.rdb.Set(r.Context(), tombstoneKey("m"), "x", 0).Err()) },
		"another one": func(r *testLedger) { r.ok(r.rdb.HSet(r.Context(), ledgerKey("m"), fieldUpload, "AAAAAAAAAAAA").Err()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.endedMessage(messageSpec(), accepted(atID(1)))
			a, err := r.records.full(t.Context(), "m")
			r.ok(err)
			change(r)
			out, err := r.scripts.Run(t.Context(), archiveScript, archiveKeys("m"), append(a.args("\x01x"), a.fields[fieldUpload])...)
			if err != nil || out[0] == "archived" || r.rdb.HLen(t.Context(), ledgerKey("m")).Val() < int64(len(a.fields)) {
				t.Errorf("archive.lua answered %q, %v; want no change", out, err)
			}
		})
	}
}

// Messages can be archived in a full Redis. A full Redis also accepts late outcomes of archived messages.
func TestArchive_FullRedis(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t, redistest.WithConfig("maxmemory", "64mb", "maxmemory-policy", "noeviction"))
	claim := r.endedMessage(messageSpec(), rejected("dead"))
	r.ok(r.rdb.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	if done, err := Archive(t.Context(), r.Ledger, "m"); !done || err != nil {
		t.Fatalf("Archive returned %t, %v", done, err)
	}
	if got := r.statuses("m"); got != "rejected" {
		t.Errorf("the status is %s, want rejected", got)
	}
	r.settle(claim, campaign.SettleAnswer, accepted(atID(1)))
	if got := r.apply("m", about(1, true, r.clock())); got != "applied" {
		t.Errorf("the report is %s, want applied", got)
	}
	if got := r.statuses("m"); got != "delivered" {
		t.Errorf("the status is %s, want delivered", got)
	}
	if form, _ := r.content(); form != "archived" {
		t.Errorf("the message is %s, want archived", form)
	}
}

// One process archives and restores a message in a loop. Meanwhile every reader finds the message, every late
// report and settle is applied, and no enqueue creates the message again.
func TestArchive_AtAnyMoment(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	claim := r.endedMessage(messageSpec(), accepted(atID(1)))
	_, err := PurgeBody(t.Context(), r.Ledger, "m")
	r.ok(err)
	want, upload := r.statuses("m"), r.uploadOf("m")
	stop := make(chan struct{})
	var flips sync.WaitGroup
	flips.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, err1 := Archive(t.Context(), r.Ledger, "m")
			_, err2 := restore(t.Context(), r.Ledger, "m", upload)
			if err := errors.Join(err1, err2); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 300 {
		if got := r.statuses("m"); got != want {
			t.Fatalf("the status is %s, want %s", got, want)
		}
		if s := r.settle(claim, campaign.SettleAnswer, accepted(atID(1))); !s.Done || s.Stale {
			t.Fatalf("the settle again returned %+v", s)
		}
		if got := r.apply("m", Report{Batch: "0.0", Row: 1, MessageID: atID(9), Delivered: true, At: r.clock()}); got != "other" {
			t.Fatalf("a report about another ID: %s", got)
		}
		if got := r.again("m", 1); got[1] != nil || !got[0].(Receipt).Again { //nolint:forcetypeassert // again returns a receipt
			t.Fatalf("the same enqueue again: %v", got)
		}
		if found := r.search(msisdnOfRow(1)); len(found) != 1 || len(found[0].Found) != 1 {
			t.Fatalf("the search found %+v", found)
		}
	}
	close(stop)
	flips.Wait()
}
