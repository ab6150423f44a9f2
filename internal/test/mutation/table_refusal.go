package main

const refusalLua = "internal/accounts/refusal.lua"

// refusalMutants break the limit on rejected recipients. The limit applies to an account that accepts nothing.
var refusalMutants = []mutant{
	{"refusal.lua grants every refused recipient", one(refusalLua, "granted = math.max(0, math.min(n, tonumber(most) - count))", "granted = n"),
		tests("internal/accounts", "TestRefusal_ConcurrentCallsShareOneLimit")},
	{"refusal.lua grants one call more than the limit allows", one(refusalLua, "granted = math.max(0, math.min(n, tonumber(most) - count))", "if count >= tonumber(most) then granted = 0 end"),
		tests("internal/accounts", "TestRefusal_ConcurrentCallsShareOneLimit")},
	{"refusal.lua does not store its count", one(refusalLua, "redis.call('HSET', A, 'refused', int(count))", ""), tests("internal/accounts", "TestRefusal_ConcurrentCallsShareOneLimit")},
	{"refusal.lua counts refusals of an account that works", one(refusalLua, "if v[1] and now - tonumber(v[1]) < tonumber(proven_for) then return {recipients, 'open'} end", ""),
		tests("internal/accounts", "TestRefusal_IsNotCountedIfTheAccountWorks")},
	{"refusal.lua replaces a hold by hand", one(refusalLua, "if held and not probed then return {int(granted),", "if held and not probed and not by_hand then return {int(granted),"), tests("internal/accounts", "TestRefusal_OtherHoldsTakePrecedence")},
	{"refusal.lua lets a transactional call make the hold longer", one(refusalLua, "not by_hand and bulk == '1' and", "not by_hand and"), tests("internal/accounts", "TestRefusal_BackOffDoublesAfterARefusedProbe")},
	{"a hold for bulk campaigns stops transactional campaigns too", one("internal/accounts/check.lua", " or v[8] == '1' and bulk == '0'", ""), tests("internal/accounts", "TestRefusal_HoldStopsBulkOnly")},
	{"a call that waited for its turn stops for a hold of the other class", one("internal/accounts/account.go", "return h.Held() && !(h.BulkOnly && class == campaign.Transactional)", "return h.Held() || class == campaign.Transactional && h.BulkOnly"),
		tests("internal/accounts", "TestRefusal_HoldStopsBulkOnly")},
	{"an accepted call does not start the count of refusals again", one("internal/accounts/breaker.lua", "redis.call('HDEL', A, 'bad', 'refused')", "redis.call('HDEL', A, 'bad')"),
		tests("internal/accounts", "TestRefusal_AcceptedCallOrReleaseStartsTheCountAgain")},
	{"a release by hand does not start the count of refusals again", one("internal/accounts/release.lua", "\n  'trips', 'refused')", "\n  'trips')"), tests("internal/accounts", "TestRefusal_AcceptedCallOrReleaseStartsTheCountAgain")},
	{"a hold of the whole account keeps the mark that it is for bulk campaigns only", one("internal/accounts/breaker.lua", "redis.call('HDEL', A, 'probe_until', 'hold_bulk')", "redis.call('HDEL', A, 'probe_until')"),
		tests("internal/accounts", "TestRefusal_OtherHoldsTakePrecedence")},
	{"the worker rejects every refused recipient, whatever the account grants", one("internal/dispatch/judge.go", "v = v.Grant(s.reports.refusals(b, c, v), c.Doubt)", "s.reports.refusals(b, c, v)"),
		tests("worker", "TestRefusal_AtMostFiftyAreRejected")},
	{"the worker rejects the recipients of a whole call that are not granted", one(verdictGo, "v.Records[i] = campaign.Record{Status: campaign.Pending, Reason: r.Reason, Code: r.Code}", "_ = i"), tests("internal/verdict", "TestGrant_OnlyTheGrantedAreRejected")},
	{"a refused call is divided into two parts only", one("internal/ledger/split.lua", "math.ceil(#left / PARTS)", "math.ceil(#left / 2)"), tests("worker", "TestRefusal_DeadNumbersAreFoundWithFewCalls")},
	{"a doubtful call whose refusals are not granted counts as not sent", one(verdictGo, "\tcase doubt:\n\t\treturn Verdict{Action: Doubt,", "\tcase doubt:\n\t\treturn Verdict{Action: Release,"), tests("internal/verdict", "TestGrant_OnlyTheGrantedAreRejected")},
	{"recipients that are not granted lose an attempt", one(verdictGo, "\tif v.SettleReason == campaign.SettleAnswer {\n\t\tv.SettleReason = campaign.SettleSpared\n\t}\n\treturn v\n}\n\n", "\treturn v\n}\n\n"),
		tests("internal/verdict", "TestGrant_OnlyTheGrantedAreRejected")},
	{"a refused call of one recipient is rejected without asking the account", one(verdictGo, "return s.refused(Verdict{", "return (Situation{LastAccepted: s.Now, Now: s.Now}).refused(Verdict{"),
		tests("internal/verdict", "TestVerdict_RefusalRejectsOnlyASingleRecipient")},
	{"recipients that a call refuses one by one are rejected without asking the account", one(verdictGo, "if accepted > 0 {\n\t\treturn v\n\t}\n\treturn s.refused(v)", "return v"),
		tests("internal/verdict", "TestVerdict_RefusedResultsAreCountedUnlessOneIsAccepted")},
	{"a refused call of several recipients rejects all of them", one(verdictGo, "if s.Recipients > 1 {\n\t\treturn Verdict{Action: Split}\n\t}\n", ""), tests("internal/verdict", "TestVerdict_RefusalRejectsOnlyASingleRecipient")},
	{"failover moves transactional work away from an account that is held for bulk campaigns", one("internal/sweep/failover.go", "return after > 0 && a.Hold.Stops(class)", "return after > 0 && a.Hold.Held()"),
		tests("internal/sweep", "TestHeldLong_OnlyForStoppedCampaigns")},
}
