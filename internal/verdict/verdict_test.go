package verdict

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

// everyAnswer calls the function f with every error that a provider can return for a whole call,
// in every situation.
func everyAnswer(f func(name string, e *providers.Error, s Situation)) {
	causes := []providers.Cause{"", providers.CauseConnection, providers.CauseNoAnswer, providers.CauseGateway, providers.CauseNotUnderstood,
		providers.CauseConfiguration, providers.CauseCredentials, providers.CauseCredit, providers.CauseBilling, providers.CauseThrottled, providers.CauseRefused}
	now := time.Unix(1e9, 0)
	for outcome := range providers.Outcome(5) {
		for scope := range providers.Scope(5) {
			for _, cause := range causes {
				for bits := range 1 << 5 {
					on := func(i int) bool { return bits>>i&1 == 1 }
					e := &providers.Error{Outcome: outcome, Scope: scope, Cause: cause, KeepKey: on(0)}
					s := Situation{Recipients: 1, Doubt: on(1), HasKeys: on(2), MaxAttempts: 8, First: now, Now: now}
					if on(3) {
						s.Recipients = 5
					}
					if on(4) {
						s.LastAccepted = now.Add(time.Second)
					}
					f(fmt.Sprintf("%s %s %q %+v", outcome, scope, cause, s), e, s)
				}
			}
		}
	}
}

func TestVerdict_PossiblySentIsNeverNotSent(t *testing.T) {
	t.Parallel()
	everyAnswer(func(name string, e *providers.Error, s Situation) {
		v := Judge(nil, e, s)
		maybe := e.Outcome != providers.Rejected && e.Outcome != providers.Retryable || e.Outcome == providers.Retryable && e.KeepKey
		if !maybe && !(e.Outcome == providers.Rejected && s.Doubt) {
			return
		}
		switch {
		case v.Action == Doubt && s.HasKeys:
		case v.Action == Settle && !s.HasKeys:
			for _, r := range v.Records {
				if r.Status != campaign.Unknown {
					t.Errorf("%s: got status %s, want unknown", name, r.Status)
				}
			}
			if len(v.Records) != s.Recipients {
				t.Errorf("%s: got %d records, want one for each recipient", name, len(v.Records))
			}
		default:
			t.Errorf("%s: got action %s, want doubt if the gateway has keys, otherwise settle", name, v.Action)
		}
	})
}

func TestVerdict_UnnamedRecipientIsUnknown(t *testing.T) {
	t.Parallel()
	unnamed := []providers.Result{{Outcome: providers.Accepted, MessageID: "m"}, {Outcome: providers.Unknown, Reason: "not_in_reply"}}
	odd := []providers.Result{unnamed[0], {Outcome: providers.Outcome(9)}}
	for _, keyed := range []bool{false, true} {
		for claims := 1; claims <= 5; claims++ {
			s := Situation{Recipients: 2, HasKeys: keyed, Doubt: claims > 1, Claims: claims, MaxAttempts: 8, First: time.Unix(1e9, 0), Now: time.Unix(1e9, 0)}
			for _, results := range [][]providers.Result{unnamed, odd} {
				v := Judge(results, nil, s)
				if v.Action != Settle || len(v.Records) != 2 || v.Records[0].Status != campaign.Accepted || v.Records[1].Status != campaign.Unknown {
					t.Errorf("%+v: got action %s and records %+v, want a settle with one accepted and one unknown", s, v.Action, v.Records)
				}
				// With idempotency keys, the call is repeated after each of the first three claims, to get the missing answers.
				if partial := v.SettleReason == campaign.SettlePartial; partial != (keyed && claims < 4) {
					t.Errorf("%+v: got settle reason %s, want partial only with keys and up to the third claim", s, v.SettleReason)
				}
			}
			for _, results := range [][]providers.Result{nil, unnamed[:1], append(unnamed, unnamed[0])} {
				v := Judge(results, nil, s)
				if keyed && v.Action != Doubt || !keyed && (v.Action != Settle || len(v.Records) != 2) {
					t.Errorf("%+v, an answer for %d of 2: unexpected action %s and records %+v", s, len(results), v.Action, v.Records)
				}
				for _, r := range v.Records {
					if r.Status != campaign.Unknown {
						t.Errorf("%+v, an answer for %d of 2: got status %s, want unknown", s, len(results), r.Status)
					}
				}
			}
		}
	}
}

func TestVerdict_FinalOnlyIfNothingCanFollow(t *testing.T) {
	t.Parallel()
	settled := func(basis campaign.SettleReason, all ...campaign.Status) (v Verdict) {
		v = Verdict{Action: Settle, SettleReason: basis}
		for _, s := range all {
			v.Records = append(v.Records, campaign.Record{Status: s})
		}
		return v
	}
	for name, tt := range map[string]struct {
		v           Verdict
		keep, again bool // the expected results of Final(false) and Final(true)
	}{
		"all known":       {settled(campaign.SettleAnswer, campaign.Accepted, campaign.Rejected), true, true},
		"one unknown":     {settled(campaign.SettleVerdict, campaign.Accepted, campaign.Unknown), true, false},
		"one not now":     {settled(campaign.SettleAnswer, campaign.Pending, campaign.Accepted), false, false},
		"one not named":   {settled(campaign.SettlePartial, campaign.Unknown, campaign.Accepted), false, false},
		"no settle":       {Verdict{Action: Release}, false, false},
		"refused, halved": {Verdict{Action: Split}, false, false},
	} {
		if tt.v.Final(false) != tt.keep || tt.v.Final(true) != tt.again {
			t.Errorf("%s: unexpected result: Final(false) = %t, Final(true) = %t", name, tt.v.Final(false), tt.v.Final(true))
		}
	}
}

func TestVerdict_AccountFaultReleasesTheCall(t *testing.T) {
	t.Parallel()
	everyAnswer(func(name string, e *providers.Error, s Situation) {
		if e.Outcome != providers.Retryable || e.KeepKey {
			return
		}
		v := Judge(nil, e, s)
		if v.Action != Release || v.Outcome == "" && v.Cooldown == 0 {
			t.Errorf("%s: got action %s, outcome %q, want a release that holds or slows the account", name, v.Action, v.Outcome)
		}
	})
}

// A refused call rejects its recipient only if the call has no other recipient. At an account that
// accepts nothing, the verdict counts each rejection in Refusals, so that the account can limit
// them. The circuit breaker does not count a refusal.
func TestVerdict_RefusalRejectsOnlyASingleRecipient(t *testing.T) {
	t.Parallel()
	everyAnswer(func(name string, e *providers.Error, s Situation) {
		if e.Outcome != providers.Rejected || s.Doubt || s.widenedScope(e.Scope) == providers.Campaign {
			return
		}
		v := Judge(nil, e, s)
		if e.Scope == providers.Account {
			if v.Action != Release || v.Outcome != campaign.CallHold {
				t.Errorf("%s: got action %s, outcome %q, want a release that holds the account", name, v.Action, v.Outcome)
			}
			return
		}
		if v.Outcome != "" || v.Pause != "" || v.Cooldown != 0 {
			t.Errorf("%s: the refusal counts for the account: %+v", name, v)
		}
		if s.Recipients > 1 {
			if v.Action != Split || v.Refusals != 0 {
				t.Errorf("%s: got action %s with %d refusals, want a split", name, v.Action, v.Refusals)
			}
			return
		}
		want := 1
		if s.accountWorks() {
			want = 0
		}
		if v.Action != Settle || len(v.Records) != 1 || v.Records[0].Status != campaign.Rejected || v.Refusals != want {
			t.Errorf("%s: got action %s, records %+v and %d refusals, want one rejected and %d refusals", name, v.Action, v.Records, v.Refusals, want)
		}
	})
}

// An answer about a text concerns the campaign if all recipients of the campaign get this text.
// Otherwise it concerns only the call.
func TestVerdict_RefusedTextOfItsOwnIsTheRecipients(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	refusal := &providers.Error{Outcome: providers.Rejected, Scope: providers.Text, Cause: providers.CauseRefused, Code: "105"}
	each := []providers.Result{{Outcome: providers.Rejected, Scope: providers.Text, Cause: providers.CauseRefused, Reason: "refused", Code: "-404"}}
	for _, personal := range []bool{false, true} {
		s := Situation{Recipients: 1, Personal: personal, MaxAttempts: 8, LastAccepted: now, First: now, Now: now}
		for name, v := range map[string]Verdict{"a call": Judge(nil, refusal, s), "a recipient": Judge(each, nil, s)} {
			switch {
			case !personal && v.Pause == "":
				t.Errorf("the refused text of %s in a campaign without merge fields: got %+v, want the campaign paused", name, v)
			case personal && (v.Pause != "" || v.Action != Settle || v.Records[0].Status != campaign.Rejected || v.Records[0].Reason != "refused"):
				t.Errorf("the refused text of %s in a campaign with merge fields: got %+v, want the recipient rejected", name, v)
			}
		}
	}
}

func TestVerdict_RefusedResultsAreCountedUnlessOneIsAccepted(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	dead := providers.Result{Outcome: providers.Rejected, Reason: "invalid_number", Code: "403"}
	for name, tt := range map[string]struct {
		results      []providers.Result
		lastAccepted time.Time
		tries, want  int
	}{
		"all of them":                      {[]providers.Result{dead, dead, dead}, time.Time{}, 0, 3},
		"one was accepted":                 {[]providers.Result{dead, {Outcome: providers.Accepted}, dead}, time.Time{}, 0, 0},
		"the account works":                {[]providers.Result{dead, dead}, now.Add(-time.Minute), 0, 0},
		"the account worked long ago":      {[]providers.Result{dead, dead}, now.Add(-time.Hour), 0, 2},
		"the others wait":                  {[]providers.Result{dead, {Outcome: providers.Retryable}}, time.Time{}, 0, 1},
		"the last attempt of the others":   {[]providers.Result{dead, {Outcome: providers.Retryable}}, time.Time{}, 7, 2},
		"the sender is refused, not these": {[]providers.Result{{Outcome: providers.Rejected, Scope: providers.Campaign}}, time.Time{}, 0, 0},
	} {
		s := Situation{Recipients: len(tt.results), MaxAttempts: 8, Tries: tt.tries, LastAccepted: tt.lastAccepted, First: now, Now: now}
		if v := Judge(tt.results, nil, s); v.Refusals != tt.want {
			t.Errorf("%s: got %d refusals, want %d", name, v.Refusals, tt.want)
		}
	}
}

func TestGrant_OnlyTheGrantedAreRejected(t *testing.T) {
	t.Parallel()
	rejected := func(n int) []campaign.Record {
		return SameForAll(n, campaign.Record{Status: campaign.Rejected, Reason: "invalid_number", Code: "403"})
	}
	for name, tt := range map[string]struct {
		records  []campaign.Record
		granted  int
		doubt    bool
		action   Action
		rejected int
		basis    campaign.SettleReason
	}{
		"all":                      {rejected(3), 3, false, Settle, 3, campaign.SettleAnswer},
		"all of a doubtful call":   {rejected(3), 3, true, Settle, 3, campaign.SettleAnswer},
		"some":                     {rejected(3), 2, false, Settle, 2, campaign.SettleSpared},
		"none":                     {rejected(3), 0, false, Release, 0, ""},
		"none, and one other":      {append(rejected(2), campaign.Record{Status: campaign.Unknown}), 0, false, Settle, 0, campaign.SettleSpared},
		"some of a doubtful call":  {rejected(3), 2, true, Doubt, 0, ""},
		"none of a doubtful call":  {rejected(3), 0, true, Doubt, 0, ""},
		"of three, one is pending": {append([]campaign.Record{{Status: campaign.Pending}}, rejected(2)...), 1, false, Settle, 1, campaign.SettleSpared},
	} {
		v := Verdict{Action: Settle, SettleReason: campaign.SettleAnswer, Records: tt.records}
		for _, r := range tt.records {
			if r.Status == campaign.Rejected {
				v.Refusals++
			}
		}
		before := slices.Clone(tt.records)
		got := v.Grant(tt.granted, tt.doubt)
		n := 0
		for i, r := range got.Records {
			switch {
			case r.Status == campaign.Rejected:
				n++
			case tt.records[i].Status == campaign.Rejected && r.Status != campaign.Pending:
				t.Errorf("%s: recipient %d is %s, want pending", name, i, r.Status)
			}
		}
		if got.Action != tt.action || n != tt.rejected || got.SettleReason != tt.basis || got.Outcome != "" {
			t.Errorf("%s: got %+v, want action %s, %d rejected, reason %q", name, got, tt.action, tt.rejected, tt.basis)
		}
		if got.Action == Release && (!got.Renew || got.BackOff <= 0 || got.Count) {
			t.Errorf("%s: got %+v, want a new key after a back-off", name, got)
		}
		if !reflect.DeepEqual(before, tt.records) {
			t.Errorf("%s: Grant has changed the records of the verdict that it was called on", name)
		}
	}
}

func TestBackOff_BetweenHalfASecondAndAMinute(t *testing.T) {
	t.Parallel()
	for n := -1; n < 100; n++ {
		if d := BackOff(n); d < 500*time.Millisecond || d > time.Minute {
			t.Errorf("BackOff(%d) = %s, want 500 ms to 1 min", n, d)
		}
	}
}

func TestReconcile_LookupsTakeReconcileFor(t *testing.T) {
	t.Parallel()
	var all time.Duration
	for n := range MaxLookups {
		all += LookupDelay(time.Minute, n)
	}
	if all != time.Minute || LookupDelay(time.Minute, 0) != 5*time.Second || LookupDelay(time.Minute, 9) <= 0 {
		t.Errorf("delays: got %s in all and %s for the first, want 1m0s and 5s", all, LookupDelay(time.Minute, 0))
	}
}
