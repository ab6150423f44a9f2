package main

const preludeLua = "internal/ledger/prelude.lua"

// limitMutants break canaries and the limit on rejected and unknown recipients.
var limitMutants = []mutant{
	{"batches beyond the canary opened before it ends", one(preludeLua, "num((is_canary_open(lim) and 'cb:' or 'nb:') .. a)", "num('nb:' .. a)"), model},
	{"a claim granted beyond the canary before it ends", one(preludeLua, "if not is_canary_open(lim) then return false end", "if lim or true then return false end"), model},
	{"the failure limit compares the wrong way", one(preludeLua, "if bad * 100 > tonumber(w[PERCENT]) * ended then", "if bad * 100 < tonumber(w[PERCENT]) * ended then"), model},
	{"a settle does not check the failure limit", one(settleLua, "if lim then judge(now) end\n  close_gen(b, k, g, rec, now, window, wakes)\n  return answer()", "close_gen(b, k, g, rec, now, window, wakes)\n  return answer()"),
		tests("internal/ledger", "TestCanary_TooManyRejectedPausesTheCampaign")},
	{"the failure limit checked after the next batches open", one(settleLua, "if lim then judge(now) end\n  close_gen(b, k, g, rec, now, window, wakes)\n  return answer()",
		"close_gen(b, k, g, rec, now, window, wakes)\n  if lim then judge(now) end\n  return answer()"),
		tests("internal/ledger", "TestCanary_OtherBatchesWaitForItsEnd")},
	{"the canary ends one recipient early", one(preludeLua, "gone - tonumber(w[LEFT_OUT]) < tonumber(w[IN_CANARY])", "gone - tonumber(w[LEFT_OUT]) + 1 < tonumber(w[IN_CANARY])"), model},
	{"the canary counts skipped recipients", one(preludeLua, "gone - tonumber(w[LEFT_OUT]) <", "gone <"), model},
	{"a resumed campaign paused again for old failures", one("internal/ledger/control.lua", "accept_so_far()\n  del('paused')", "del('paused')"), tests("internal/ledger", "TestFailureThreshold_PausesARunningCampaign")},
	{"retried recipients counted twice against the failure limit", one("internal/ledger/retry_step.lua", "try_again(count)\nif count > 0 then", "if count > 0 then"), model},
	{"the failure limit never starts a new span", one(preludeLua, "elseif ended >= tonumber(w[SPAN]) then", "elseif false then"), model},
	{"canary calls contain other recipients", one("internal/planning/planner.go", "if p.count == p.spec.Canary {", "if false {"), tests("worker", "TestCanary_FailingCampaignSendsOnlyTheCanary")},
	{"a refused part delays the other parts of its batch", one("internal/dispatch/next.go", "a.Due.Compare(b.Due), ", ""), tests("worker", "TestSplit_RefusedPartDoesNotDelayTheOthers")},
}
