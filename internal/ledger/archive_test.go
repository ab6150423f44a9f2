package ledger

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// messageSpec is the spec of a single message whose text is deleted when it has ended.
func messageSpec() campaign.Spec {
	return campaign.Spec{Via: "a0", Body: "Your code is 123456.", Class: campaign.Transactional, Message: true, PurgeBody: true, Defaults: &campaign.Defaults{Country: "KE"}}
}

// endedMessage sends a single message with the ID m, and returns the claim of its call.
func (r *testLedger) endedMessage(spec campaign.Spec, record campaign.Record) *Claim {
	r.Helper()
	r.sendingSpec("m", spec, []int{1})
	c := r.claim("m", "0.0", 0, 0, keyed, long)
	r.settle(c, campaign.SettleAnswer, record)
	return c
}

// archiveCases are single messages that have ended in different ways. Each function returns the last claim of the
// message, or nil.
var archiveCases = map[string]func(r *testLedger) *Claim{
	"accepted": func(r *testLedger) *Claim { return r.endedMessage(messageSpec(), accepted(atID(1))) },
	"with a cost and a reference": func(r *testLedger) *Claim {
		s := messageSpec()
		s.Ref, s.From, s.CreatedBy, s.StatusEvents = "order \"7\" é", "ACME", "api:key", true
		return r.endedMessage(s, campaign.Record{Status: campaign.Accepted, MessageID: uuid.NewString(), Cost: "0.8000", Currency: "KES"})
	},
	"with an odd cost and ID": func(r *testLedger) *Claim {
		return r.endedMessage(messageSpec(), campaign.Record{Status: campaign.Accepted, MessageID: "no UUID", Code: "101", Cost: "00.80", Currency: "KES"})
	},
	"rejected": func(r *testLedger) *Claim {
		return r.endedMessage(messageSpec(), campaign.Record{Status: campaign.Rejected, Reason: "blacklisted", Code: "UserInBlacklist"})
	},
	"rejected after a refusal for now": func(r *testLedger) *Claim {
		r.sendingSpec("m", messageSpec(), []int{1})
		r.settle(r.claim("m", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, refusedForNow())
		r.travel("m", time.Hour)
		c := r.claim("m", "0.0", 0, 1, keyed, long)
		r.settle(c, campaign.SettleAnswer, rejected("dead"))
		return c
	},
	"delivered": func(r *testLedger) *Claim {
		c := r.endedMessage(messageSpec(), priced(atID(1)))
		r.apply("m", about(1, true, r.clock().Add(3*time.Second)))
		return c
	},
	"undelivered": func(r *testLedger) *Claim {
		c := r.endedMessage(messageSpec(), accepted(atID(1)))
		r.apply("m", about(1, false, r.clock()))
		return c
	},
	"accepted twice": func(r *testLedger) *Claim {
		first := r.endedMessage(messageSpec(), unknown("timeout"))
		if n, err := r.retryAll("m"); err != nil || n != 1 {
			r.Fatalf("the retry sends again to %d recipients, %v", n, err)
		}
		c := r.claim("m", "0.0", 0, 1, keyed, long)
		r.settle(c, campaign.SettleAnswer, accepted(atID(1)))
		r.settle(first, campaign.SettleAnswer, accepted(atID(2)))
		return c
	},
	"expired": func(r *testLedger) *Claim {
		s := messageSpec()
		s.ExpiresAt = time.Now().Add(time.Hour)
		r.sendingSpec("m", s, []int{1})
		r.travel("m", 2*time.Hour)
		r.tryClaim("m", "0.0", r.open("m", "0.0", 0, 0), keyed, long)
		return nil
	},
	"not planned": func(r *testLedger) *Claim {
		r.enqueue("m", messageSpec(), 1)
		_, _, err := r.startPlan("m", 1).CommitPage(r.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1},
			Skipped: []campaign.SkippedRecipient{{Row: 1, Reason: campaign.ReasonOptedOut}}})
		r.ok(err)
		return nil
	},
	"of two accounts": func(r *testLedger) *Claim {
		r.enqueue("m", messageSpec(), 1)
		_, _, err := r.startPlan("m", 2).CommitPage(r.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{1: 1},
			Batches: []campaign.PlannedBatch{{Stream: 1, Calls: []int{1}, To: plannedRows(1, 1)}}})
		r.ok(err)
		c := r.claim("m", "1.0", 0, 0, keyed, long)
		r.settle(c, campaign.SettleAnswer, priced(atID(1)))
		return c
	},
}

// The method "answers" calls the ledger's read methods for the message "m", and returns their results by name. It
// clears Summary.Archived, so that a message has the same results in both forms.
func (r *testLedger) answers() map[string]any {
	r.Helper()
	ctx, index, reports := r.Context(), r.Index(), NewReports(r.Ledger)
	out := map[string]any{}
	put := func(name string, v any, err error) { out[name] = []any{v, fmt.Sprint(err)} }
	sum, err := r.Summary(ctx, "m")
	sum.Archived = false
	put("summary", sum, err)
	if err != nil {
		return out
	}
	out["rows"] = r.rows("m")
	spec, err := r.Spec(ctx, "m")
	put("spec", spec, err)
	snapshot, total, err := r.Snapshot(ctx, "m")
	put("snapshot", []any{snapshot, total}, err)
	out["search"] = r.search(msisdnOfRow(1))
	last, err := r.LastRetry(ctx, "m")
	put("last retry", last, err)
	usage, err := Usage(ctx, r.Ledger, sum)
	put("usage", usage, err)
	delays, err := reports.DeliveryTimes(ctx, "m")
	put("delays", delays, err)
	upload, replaced, err := index.Upload(ctx, "m")
	put("upload", []any{upload, replaced}, err)
	exists, err := index.Exists(ctx, "m")
	put("exists", exists, err)
	free, err := index.Free(ctx, "m")
	put("free", free, err)
	used, err := index.inUse(ctx, "m")
	put("in use", used, err)
	totals, err := index.Totals(ctx, []string{"m", "none"})
	put("totals", totals, err)
	for _, name := range []string{"0.0", "1.0"} {
		ref := BatchRef{"m", upload, name}
		batches, err := reports.Batches(ctx, []BatchRef{ref, {"m", "another", name}, {"none", upload, name}})
		put("batches "+name, batches, err)
		awaited, err := reports.Awaited(ctx, SentCall{BatchRef: ref}, 1)
		put("awaited "+name, awaited, err)
		statusRows, err := NewStatusRows(r.Ledger).Read(ctx, "m", []string{name + ".0"})
		put("status rows "+name, statusRows, err)
		moved, err := reports.MovedTo(ctx, "m", name)
		put("moved "+name, moved, err)
	}
	return out
}

// archiveWrites are functions that call the ledger to change a message. In some states of the message the ledger
// refuses the change. Each function returns the answer of the ledger.
var archiveWrites = map[string]func(r *testLedger, c *Claim) []any{
	"settle again": func(r *testLedger, c *Claim) []any {
		s, err := r.Settle(r.Context(), c, []campaign.Record{accepted(atID(1))}, campaign.SettleAnswer, 1, 0)
		return []any{s, err}
	},
	"another message accepted late": func(r *testLedger, c *Claim) []any {
		other := *c
		other.Token = script.NewToken()
		s, err := r.Settle(r.Context(), &other, []campaign.Record{accepted(atID(7))}, campaign.SettleAnswer, 1, 0)
		return []any{s, err}
	},
	"a late doubt": func(r *testLedger, c *Claim) []any {
		s, err := r.Doubt(r.Context(), c, time.Second, true)
		return []any{s, err}
	},
	"a late release": func(r *testLedger, c *Claim) []any {
		s, err := r.Release(r.Context(), c, time.Second, ReleaseAnswered)
		return []any{s, err}
	},
	"delivered":   func(r *testLedger, _ *Claim) []any { return r.reported(1, true, "m") },
	"undelivered": func(r *testLedger, _ *Claim) []any { return r.reported(1, false, "m") },
	"another ID":  func(r *testLedger, _ *Claim) []any { return r.reported(8, true, "m") },
	"twice":       func(r *testLedger, _ *Claim) []any { return r.reported(1, true, "m", "m") },
	"pause":       func(r *testLedger, _ *Claim) []any { n, err := r.Pause(r.Context(), "m", "me"); return []any{n, err} },
	"cancel":      func(r *testLedger, _ *Claim) []any { n, err := r.Cancel(r.Context(), "m", "me"); return []any{n, err} },
	"retry": func(r *testLedger, _ *Claim) []any {
		n, err := r.Retry(r.Context(), "m", "token", true, true)
		return []any{n, err}
	},
	"reschedule": func(r *testLedger, _ *Claim) []any {
		n, err := r.Reschedule(r.Context(), "m", time.Now())
		return []any{n, err}
	},
	"forget": func(r *testLedger, _ *Claim) []any {
		return []any{r.forget(msisdnOfRow(1), false), r.forget(msisdnOfRow(1), false)}
	},
	"forget (dry)": func(r *testLedger, _ *Claim) []any { return []any{r.forget(msisdnOfRow(1), true)} },
	"purge early": func(r *testLedger, _ *Claim) []any {
		gone, err := r.Purge(r.Context(), "m", time.Now().Add(-48*time.Hour))
		return []any{gone, err}
	},
	"purge": func(r *testLedger, _ *Claim) []any {
		gone, err := r.Purge(r.Context(), "m", time.Now().Add(time.Hour))
		return []any{gone, err}
	},
	"purge the text": func(r *testLedger, _ *Claim) []any {
		gone, err := PurgeBody(r.Context(), r.Ledger, "m")
		return []any{gone, err}
	},
	"a purge, then the same again": func(r *testLedger, _ *Claim) []any {
		spec, err := r.Spec(r.Context(), "m")
		r.ok(err)
		_, err = r.Purge(r.Context(), "m", time.Now().Add(time.Hour))
		r.ok(err)
		return r.enqueueAgain("m", spec, 1)
	},
	"the same again": func(r *testLedger, _ *Claim) []any { return r.again("m", 1) },
	"a conflict":     func(r *testLedger, _ *Claim) []any { return r.again("m", 2) },
	"another upload": func(r *testLedger, _ *Claim) []any {
		out, err := NewReports(r.Ledger).Apply(r.Context(), "m", "another12345", []Report{about(1, true, r.clock())})
		return []any{out, err}
	},
	"quarantine": func(r *testLedger, _ *Claim) []any {
		_, first, err := r.Quarantine(r.Context(), &Unreadable{Campaign: "m", Record: "b0.0", Err: campaign.ErrRecord}, "0.0", false, 1)
		return []any{first, err}
	},
}

// The method "reported" applies delivery reports for the given message IDs, and returns their outcomes.
func (r *testLedger) reported(row int, delivered bool, ids ...string) (out []any) {
	r.Helper()
	for _, id := range ids {
		report := about(1, delivered, r.rows(id)[0].UpdatedAt.Add(3*time.Second))
		report.MessageID = atID(row)
		for _, batch := range []string{"0.0", "1.0"} {
			report.Batch = batch
			out = append(out, r.apply(id, report))
		}
	}
	return out
}

// The method "again" enqueues a message a second time under the same ID. The recipient is the number of the given row.
func (r *testLedger) again(id string, row int) []any {
	r.Helper()
	spec, err := r.Spec(r.Context(), id)
	r.ok(err)
	return r.enqueueAgain(id, spec, row)
}

func (r *testLedger) enqueueAgain(id string, spec campaign.Spec, row int) []any {
	r.Helper()
	spec.Body, spec.Purged = messageSpec().Body, 0
	u := r.upload(id, spec, msisdnOfRow(row).E164())
	receipt, err := u.Commit(r.Context())
	return []any{receipt, err}
}

// messageKeys are all keys of the message m, and the indexes.
var messageKeys = []string{ledgerKey("m"), openKey("m"), specKey("m"), tombstoneKey("m"), overlayKey("m", 0), delaysKey("m"), quarantineKey("m"), quarantineWorkKey("m"), uploadsKey("m"),
	openIndex, messageIndex}

// The method "content" returns the word "archived" or "full", and the fields of the full form of the message m.
func (r *testLedger) content() (form string, fields map[string]string) {
	r.Helper()
	full, err := r.records.full(r.Context(), "m")
	r.ok(err)
	f, err := r.records.form(r.Context(), "m")
	r.ok(err)
	form = "full"
	if full == nil && f.archive != nil {
		form, full = "archived", f.archive
	}
	if full == nil {
		return "gone", map[string]string{"tombstone": r.rdb.Get(r.Context(), tombstoneKey("m")).Val()[:archivedHash]}
	}
	fields = maps.Clone(full.fields)
	for name, v := range full.delays {
		fields["delay "+name] = v
	}
	fields["spec"], fields["overlay"], fields[fieldContent] = full.spec, full.overlay, fields[fieldContent][:archivedHash]
	fields["aside"] = fmt.Sprint(r.rdb.HLen(r.Context(), quarantineKey("m")).Val())
	return form, fields
}

func exported(reflect.Type) bool { return true }

var compareAll = cmp.Options{cmp.Exporter(exported), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) })}

// Every read of an archived message returns what it returns for the full form. Every write has the same answer
// and the same effect. Reads and late reports leave the message archived.
func TestArchive_AnswersAsTheFullForm(t *testing.T) {
	t.Parallel()
	for name, send := range archiveCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			claim := send(r)
			if _, err := PurgeBody(t.Context(), r.Ledger, "m"); err != nil {
				t.Fatal(err)
			}
			before, wasFull := r.answers(), r.dump(messageKeys...)
			done, err := Archive(t.Context(), r.Ledger, "m")
			r.ok(err)
			form, _ := r.content()
			if !done || form != "archived" || r.rdb.Exists(t.Context(), messageKeys[0], messageKeys[2], messageKeys[4], messageKeys[5]).Val() != 0 {
				t.Fatalf("Archive returned %t, and the message is %s; want only its archive", done, form)
			}
			if diff := cmp.Diff(before, r.answers(), compareAll); diff != "" {
				t.Errorf("the archive answers something else (-full +archived):\n%s", diff)
			}
			t.Logf("%d bytes", len(r.rdb.Get(t.Context(), tombstoneKey("m")).Val()))
			wasArchived := r.dump(messageKeys...)
			for _, what := range slices.Sorted(maps.Keys(archiveWrites)) {
				if claim == nil && (strings.Contains(what, "late") || what == "settle again") {
					continue
				}
				wasFull()
				want := archiveWrites[what](r, claim)
				_, left := r.content()
				after := r.answers()
				wasArchived()
				got := archiveWrites[what](r, claim)
				form, now := r.content()
				if diff := cmp.Diff(want, got, compareAll); diff != "" {
					t.Errorf("%s: the archive answers something else (-full +archived):\n%s", what, diff)
				}
				if diff := cmp.Diff(left, now); diff != "" {
					t.Errorf("%s: the archive leaves something else (-full +archived):\n%s", what, diff)
				}
				if diff := cmp.Diff(after, r.answers(), compareAll); diff != "" {
					t.Errorf("%s: afterwards the archive answers something else (-full +archived):\n%s", what, diff)
				}
				if form != "archived" && form != "gone" && what != "quarantine" {
					t.Errorf("%s: afterwards the message is %s, want archived", what, form)
				}
			}
		})
	}
}
