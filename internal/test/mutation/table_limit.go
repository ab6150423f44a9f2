package main

const preludeLua = "internal/ledger/prelude.lua"

// limitMutants break canaries and the failure threshold: the limit on rejected and unknown
// messages.
var limitMutants = []mutant{
	{"batches beyond the canary are opened before the canary has ended", one(preludeLua, "num((is_canary_open(lim) and 'cb:' or 'nb:') .. a)", "num('nb:' .. a)"), model},
	{"a claim beyond the canary is granted before the canary has ended", one(preludeLua, "if not is_canary_open(lim) then return false end", "if lim or true then return false end"), model},
	{"campaigns within their failure threshold are paused, and campaigns above it are not", one(preludeLua, "if bad * 100 > tonumber(w[PERCENT]) * ended then", "if bad * 100 < tonumber(w[PERCENT]) * ended then"), model},
	{"settle.lua does not check the failure threshold when it settles a whole call", one(settleLua, "if lim then judge(now) end\n  close_gen(b, k, g, rec, now, window, wakes)\n  return answer()", "close_gen(b, k, g, rec, now, window, wakes)\n  return answer()"),
		tests("internal/ledger", "TestCanary_TooManyRejectedPausesTheCampaign")},
	{"settle.lua opens the next batches before it checks the failure threshold", one(settleLua, "if lim then judge(now) end\n  close_gen(b, k, g, rec, now, window, wakes)\n  return answer()",
		"close_gen(b, k, g, rec, now, window, wakes)\n  if lim then judge(now) end\n  return answer()"),
		tests("internal/ledger", "TestCanary_OtherBatchesWaitForItsEnd")},
	{"the canary ends before its last recipient has finished", one(preludeLua, "gone - tonumber(w[LEFT_OUT]) < tonumber(w[IN_CANARY])", "gone - tonumber(w[LEFT_OUT]) + 1 < tonumber(w[IN_CANARY])"), model},
	{"recipients that planning skipped count as finished canary messages", one(preludeLua, "gone - tonumber(w[LEFT_OUT]) <", "gone <"), model},
	{"a resumed campaign is paused again because of failures before it was resumed", one("internal/ledger/control.lua", "accept_so_far()\n  del('paused')", "del('paused')"), tests("internal/ledger", "TestFailureThreshold_PausesARunningCampaign")},
	{"a campaign that has begun can be rescheduled", one("internal/ledger/reschedule.lua", "not was or tonumber(was) <= now then", "not was then"), tests("internal/ledger", "TestReschedule_MovesTheStartUntilTheCampaignHasBegun")},
	{"the task of the old start begins a rescheduled campaign", one("internal/ledger/plan_start.lua", "tonumber(start) > now_ms() and", "false and"), tests("internal/ledger", "TestReschedule_MovesTheStartUntilTheCampaignHasBegun")},
	{"the failure threshold does not count retried recipients when they finish again", one("internal/ledger/retry_step.lua", "try_again(count)\nif count > 0 then", "if count > 0 then"), model},
	{"the count of the failure threshold does not restart after messages within the threshold", one(preludeLua, "elseif ended >= tonumber(w[SPAN]) then", "elseif false then"), model},
	{"one call contains recipients of the canary and recipients beyond it", one("internal/planning/planner.go", "if p.count == p.spec.Canary {", "if false {"), tests("worker", "TestCanary_FailingCampaignSendsOnlyTheCanary")},
	{"parts of a split call are tried in the order of their size, without regard to due times", one("internal/dispatch/next.go", "a.Due.Compare(b.Due), ", ""), tests("worker", "TestSplit_RefusedPartDoesNotDelayTheOthers")},
}
