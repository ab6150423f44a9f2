package worker

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

// everyAnswer calls f with every error that a provider can return for a whole call, in every
// situation.
func everyAnswer(f func(name string, e *providers.Error, s situation)) {
	causes := []providers.Cause{"", providers.CauseConnection, providers.CauseNoAnswer, providers.CauseGateway, providers.CauseNotUnderstood,
		providers.CauseConfiguration, providers.CauseCredentials, providers.CauseCredit, providers.CauseBilling, providers.CauseThrottled, providers.CauseRefused}
	now := time.Unix(1e9, 0)
	for outcome := range providers.Outcome(5) {
		for scope := range providers.Scope(5) {
			for _, cause := range causes {
				for bits := range 1 << 5 {
					on := func(i int) bool { return bits>>i&1 == 1 }
					e := &providers.Error{Outcome: outcome, Scope: scope, Cause: cause, KeepKey: on(0)}
					s := situation{recipients: 1, doubt: on(1), hasKeys: on(2), maxAttempts: 8, first: now, now: now}
					if on(3) {
						s.recipients = 5
					}
					if on(4) {
						s.lastAccepted = now.Add(time.Second)
					}
					f(fmt.Sprintf("%s %s %q %+v", outcome, scope, cause, s), e, s)
				}
			}
		}
	}
}

func TestWhatMayHaveBeenTakenIsNeverCalledNotSent(t *testing.T) {
	t.Parallel()
	everyAnswer(func(name string, e *providers.Error, s situation) {
		v := judge(nil, e, s)
		maybe := e.Outcome != providers.Rejected && e.Outcome != providers.Retryable || e.Outcome == providers.Retryable && e.KeepKey
		if !maybe && !(e.Outcome == providers.Rejected && s.doubt) {
			return
		}
		switch {
		case v.action == actionDoubt && s.hasKeys:
		case v.action == actionSettle && !s.hasKeys:
			for _, r := range v.records {
				if r.Status != campaign.Unknown {
					t.Errorf("%s: got status %s, want unknown", name, r.Status)
				}
			}
			if len(v.records) != s.recipients {
				t.Errorf("%s: got %d records, want one for each recipient", name, len(v.records))
			}
		default:
			t.Errorf("%s: unexpected action %s", name, v.action)
		}
	})
}

func TestWhomAnAnswerDoesNotNameIsNeverCalledNotSent(t *testing.T) {
	t.Parallel()
	unnamed := []providers.Result{{Outcome: providers.Accepted, MessageID: "m"}, {Outcome: providers.Unknown, Reason: "not_in_reply"}}
	odd := []providers.Result{unnamed[0], {Outcome: providers.Outcome(9)}}
	for _, keyed := range []bool{false, true} {
		for _, doubt := range []bool{false, true} {
			s := situation{recipients: 2, hasKeys: keyed, doubt: doubt, maxAttempts: 8, first: time.Unix(1e9, 0), now: time.Unix(1e9, 0)}
			for _, results := range [][]providers.Result{unnamed, odd} {
				v := judge(results, nil, s)
				if v.action != actionSettle || len(v.records) != 2 || v.records[0].Status != campaign.Accepted || v.records[1].Status != campaign.Unknown {
					t.Errorf("%+v: got action %s and records %+v, want a settle with one accepted and one unknown", s, v.action, v.records)
				}
				// If the gateway has keys, the call is repeated once for the missing answers.
				if partial := v.settleReason == campaign.SettlePartial; partial != (keyed && !doubt) {
					t.Errorf("%+v: got settle reason %s", s, v.settleReason)
				}
			}
			for _, results := range [][]providers.Result{nil, unnamed[:1], append(unnamed, unnamed[0])} {
				v := judge(results, nil, s)
				if keyed && v.action != actionDoubt || !keyed && (v.action != actionSettle || len(v.records) != 2) {
					t.Errorf("%+v, an answer for %d of 2: unexpected action %s and records %+v", s, len(results), v.action, v.records)
				}
				for _, r := range v.records {
					if r.Status != campaign.Unknown {
						t.Errorf("%+v, an answer for %d of 2: got status %s, want unknown", s, len(results), r.Status)
					}
				}
			}
		}
	}
}

func TestABatchIsReadAgainWhereMoreOfItMayGo(t *testing.T) {
	t.Parallel()
	settled := func(basis campaign.SettleReason, all ...campaign.Status) (v verdict) {
		v = verdict{action: actionSettle, settleReason: basis}
		for _, s := range all {
			v.records = append(v.records, campaign.Record{Status: s})
		}
		return v
	}
	for name, tt := range map[string]struct {
		v           verdict
		keep, again bool // the wanted results of final(false) and final(true)
	}{
		"all known":       {settled(campaign.SettleAnswer, campaign.Accepted, campaign.Rejected), true, true},
		"one unknown":     {settled(campaign.SettleVerdict, campaign.Accepted, campaign.Unknown), true, false},
		"one not now":     {settled(campaign.SettleAnswer, campaign.Pending, campaign.Accepted), false, false},
		"one not named":   {settled(campaign.SettlePartial, campaign.Unknown, campaign.Accepted), false, false},
		"no settle":       {verdict{action: actionRelease}, false, false},
		"refused, halved": {verdict{action: actionSplit}, false, false},
	} {
		if tt.v.final(false) != tt.keep || tt.v.final(true) != tt.again {
			t.Errorf("%s: unexpected result: final(false) = %t, final(true) = %t", name, tt.v.final(false), tt.v.final(true))
		}
	}
}

func TestAFaultOfTheAccountUsesNobodyUp(t *testing.T) {
	t.Parallel()
	everyAnswer(func(name string, e *providers.Error, s situation) {
		if e.Outcome != providers.Retryable || e.KeepKey {
			return
		}
		v := judge(nil, e, s)
		if v.action != actionRelease || v.outcome == "" && v.cooldown == 0 {
			t.Errorf("%s: got action %s, outcome %q, want a release that holds or slows the account", name, v.action, v.outcome)
		}
	})
}

func TestARefusalByAnAccountThatHasAcceptedNothingRejectsNobody(t *testing.T) {
	t.Parallel()
	everyAnswer(func(name string, e *providers.Error, s situation) {
		if e.Outcome != providers.Rejected || s.doubt || s.accountWorks() || e.Scope == providers.Campaign {
			return
		}
		if v := judge(nil, e, s); v.action == actionSettle || v.action == actionDoubt || v.outcome != campaign.CallBad && v.outcome != campaign.CallHold {
			t.Errorf("%s: got action %s, outcome %q", name, v.action, v.outcome)
		}
	})
}

func TestABackOffIsBetweenHalfASecondAndAMinute(t *testing.T) {
	t.Parallel()
	for n := -1; n < 100; n++ {
		if d := backOff(n); d < 500*time.Millisecond || d > time.Minute {
			t.Errorf("backOff(%d) = %s, want 500 ms to 1 min", n, d)
		}
	}
}

func TestEveryBatchGetsItsTurnToProbe(t *testing.T) {
	t.Parallel()
	p := &probeTurns{tried: map[string]bool{}}
	got := map[string]int{}
	for range 40 {
		p.newSweep()
		for _, work := range []string{"a", "b", "c"} {
			if p.next(work) {
				got[work]++
			}
		}
	}
	if len(got) != 3 || min(got["a"], got["b"], got["c"]) < 9 || got["a"]+got["b"]+got["c"] > 40 {
		t.Errorf("unfair probes: %v", got)
	}
}
