package main

import "time"

// What follows is wrong in Go. Several of these can lead to a message sent twice only
// where two things meet, so each has the test that makes them meet.
var inGo = []mutant{
	{"release's renew dropped", one(verdictGo, "v := verdict{deed: deedRelease, renew: true,", "v := verdict{deed: deedRelease, renew: false,"),
		tests("worker", "TestARefusedCallGoesAgainUnderAnotherKey")},
	{"a refusal clears doubt", one(verdictGo, "case e.Outcome == providers.Rejected && s.doubt:", "case false:"),
		tests("worker", "TestWhatMayHaveBeenTakenIsNeverCalledNotSent")},
	{"silence is settled as rejected where there is no key", one(verdictGo,
		"v.records = fill(s.recipients, ledger.Record{Status: ledger.Unknown,", "v.records = fill(s.recipients, ledger.Record{Status: ledger.Rejected,"),
		tests("worker", "TestWhatMayHaveBeenTakenIsNeverCalledNotSent")},
	{"who is not in the answer is refused for now", one(verdictGo,
		"case r.Outcome != providers.Rejected && r.Outcome != providers.Retryable, s.doubt:\n\t\treturn ledger.Unknown",
		"case r.Outcome != providers.Rejected && r.Outcome != providers.Retryable, s.doubt:\n\t\treturn ledger.Pending"),
		tests("worker", "TestWhomAnAnswerDoesNotNameIsNeverCalledNotSent")},
	{"an answer for too few is taken", one(verdictGo, "if err == nil && len(results) == s.recipients {", "if err == nil {"),
		tests("worker", "TestWhomAnAnswerDoesNotNameIsNeverCalledNotSent")},
	{"a panic of a provider is called not sent", one(sendGo, "&providers.Error{Op: \"send\", Outcome: providers.Unknown,", "&providers.Error{Op: \"send\", Outcome: providers.Retryable,"),
		tests("worker", "TestAProviderThatBreaksItsContractCostsItsCallOnly")},
	{"a call's time begins when its claim is answered", one(sendGo, "context.WithDeadline(context.Background(), at.start.Add(s.acc.Timeout))",
		"context.WithDeadline(context.Background(), time.Now().Add(s.acc.Timeout))"), tests("worker", "TestAClaimThatWasAnsweredLateLeavesLessTime")},
	{"the deadline is not looked at before the first byte", one("providers/attempt.go", "if now.Before(a.deadline) && now.Round(0).Before(a.deadline.Round(0)) {",
		"if now.Before(now.Add(1)) {"), tests("providers", "TestAWorkerThatWakesTooLateWritesNothing")},
	{"only one clock is looked at before the first byte", one("providers/attempt.go", "now.Before(a.deadline) && now.Round(0).Before(a.deadline.Round(0))",
		"now.Before(a.deadline)"), tests("providers", "TestAWorkerThatWakesTooLateWritesNothing")},
	{"no answer is called not sent", one("providers/call.go", "if !a.seal() {", "if a.seal(); false {"), tests("providers", "TestAfterTheFirstByteSilenceIsUnknown")},
	{"error_gw lets go of its key", one("providers/kobo/answer.go", "Cause: providers.CauseGateway, KeepKey: true}", "Cause: providers.CauseGateway}"),
		tests("providers/kobo", "TestEveryRefusalHasItsVerdict|TestEveryAnswerOnThePageHasItsVerdict")},
	{"numbers planned before are not known to the next planner", one("internal/planning/planner.go", "\tp.seen.add(x.MSISDN)\n\tp.count++\n}\n\n// Resume",
		"\t_ = x\n\tp.count++\n}\n\n// Resume"), tests("worker", "TestAPlannerThatTakesOverKnowsWhatWasPlanned")},
	{"what was planned before is not counted by the next planner", one("internal/planning/planner.go", "\tp.seen.add(x.MSISDN)\n\tp.count++\n}\n\n// Resume",
		"\tp.seen.add(x.MSISDN)\n}\n\n// Resume"), tests("worker", "TestAPlannerThatTakesOverKnowsWhatWasPlanned")},
	{"what is carried over is forgotten by the next planner", one("internal/ledger/plan.go", "\t\tfor _, c := range p.Carry {\n\t\t\tfor _, x := range c {",
		"\t\tfor _, c := range p.Carry[:0] {\n\t\t\tfor _, x := range c {"), tests("worker", "TestAPlannerThatTakesOverKnowsWhatWasPlanned")},
	{"the barrier of durability skipped", one("internal/ledger/script.go", "if s.binding && l.durability != (Durability{}) {", "if false {"),
		tests("internal/ledger", "TestAClaimThatNoReplicaHasIsNoLeaveToSend|TestOrdersWaitUntilTheyAreDurable")},
	{"a claim needs no barrier", one("internal/ledger/script.go", `binding(campaignScript("claim"))`, `campaignScript("claim")`),
		tests("internal/ledger", "TestAClaimThatNoReplicaHasIsNoLeaveToSend")},
	{"a settle needs no barrier", one("internal/ledger/script.go", `binding(settling("settle"))`, `settling("settle")`),
		tests("internal/ledger", "TestOrdersWaitUntilTheyAreDurable")},
	{"fewer replicas will do", one("internal/ledger/durability.go", "max(l.durability.Replicas, 1); n < want {", "max(l.durability.Replicas, 1); n < want-1 {"),
		tests("internal/ledger", "TestAClaimThatNoReplicaHasIsNoLeaveToSend")},
	{"another Redis is not told what was settled", one("worker/failover.go", "\tn, err := f.sayAgain(ctx)\n", "\tn, err := 0, error(nil)\n"),
		slow(tests("worker", "TestAWorkerTellsAPromotedReplicaWhatItHasSettled"))},
	{"a claim had from another Redis is used", one(sendGo, "if claim.Answer == ledger.ClaimGo && s.failover.dials.Load() != s.dials {", "if false {"),
		tests("worker", "TestAClaimFromARedisThatMayBeNewIsGivenBack")},
	{"another Redis is not noticed", one("worker/failover.go", "\tf := &w.failover\n\tif dials = f.dials.Load(); dials == f.met.Load() {", "\tf := &w.failover\n\tif dials = f.dials.Load(); true {"),
		slow(tests("worker", "TestAWorkerTellsAPromotedReplicaWhatItHasSettled"))},
	{"another Redis is not kept waiting for calls in flight", one("worker/failover.go", "if err := w.landed(ctx); err != nil {", "if err := ctx.Err(); err != nil {"),
		tests("worker", "TestNothingInFlightIsMadeAgainBesideAPromotedReplica")},
	{"a message found may be another call's", one("worker/reconcile.go", "\t\t\tothers[n] = true\n", "\t\t\t_ = n\n"), tests("worker", "TestWhatCanBeTwoCallsMessageIsNobodys")},
	{"a message found may be known", one("worker/reconcile.go", "|| m.known(x.ID) {", "{"), tests("worker", "TestOnlyTheOneMessageThatCanBeTheCallsIsFound|TestWhatCanBeTwoCallsMessageIsNobodys")},
	{"a report is held against an old list", one("worker/reconcile.go", "if len(o.by[n]) > 0 || time.Since(o.read)", "if time.Since(o.read)"),
		tests("worker", "TestADeliveryReportTellsOfAMessageOfUnknownOutcome")},
	{"who can be looked for is resent at once", one("worker/verdict.go", "case s.reconcileFor > 0:\n", "case s.reconcileFor < 0:\n"), tests("worker", "TestWhatIsFoundIsNotResent")},
	{"a settle is tried once", one("worker/settle.go", "\t\tcancel()\n\t\tif errors.Is(err, ledger.ErrNotFound)", "\t\tcancel()\n\t\tif err != nil || errors.Is(err, ledger.ErrNotFound)"),
		tests("worker", "TestAnAnswerIsWrittenHoweverOftenItFails")},
	{"a hold is not looked at once more", one("worker/reserve.go", "return err == nil && a.Hold.Held(), err", "_ = a\n\treturn false, err"),
		tests("worker", "TestAHoldStopsCallsThatWaitForTheirTurn")},
	{"a look from before another call's turn is good enough", one("worker/pioneer.go", "if p.turns.Load() == turns {", "if turns >= 0 {"),
		tests("worker", "TestALookFromBeforeAnothersTurnIsNoLeaveToTry")},
	{"every account counts as proven", one("worker/pioneer.go", "return now.Sub(last) < provenFor", "_ = last\n\treturn true"),
		tests("worker", "TestAGatewayWithoutKeysThatLiesFromTheStartCostsFewCalls")},
}

// slow gives a catcher more time.
func slow(c catcher) catcher {
	c.limit = 4 * time.Minute
	return c
}
