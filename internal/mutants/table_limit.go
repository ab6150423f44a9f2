package main

const preludeLua = "internal/ledger/prelude.lua"

// inLimit are about canaries, and the limit on what is rejected or unknown.
var inLimit = []mutant{
	{"a hand-out that passes over the canary", one(preludeLua, "num((is_canary_open(lim) and 'cb:' or 'nb:') .. a)", "num('nb:' .. a)"), model},
	{"a claim that passes over the canary", one(preludeLua, "if not is_canary_open(lim) then return false end", "if lim or true then return false end"), model},
	{"a limit that compares the wrong way", one(preludeLua, "if bad * 100 > tonumber(w[PERCENT]) * ended then", "if bad * 100 < tonumber(w[PERCENT]) * ended then"), model},
	{"a limit that a settle does not look at", one(settleLua, "if lim then judge(now) end\n  close_gen", "close_gen"),
		tests("internal/ledger", "TestACanaryOfWhichTooManyAreRejectedPausesTheCampaign")},
	{"a limit that is looked at after the settle", one(settleLua, "if lim then judge(now) end\n  close_gen(b, k, g, rec, now, window, wakes)", "close_gen(b, k, g, rec, now, window, wakes)\n  if lim then judge(now) end"),
		tests("internal/ledger", "TestNothingGoesBeforeTheCanaryHasEnded")},
	{"a canary that ends while one of it is in doubt", one(preludeLua, "gone - tonumber(w[LEFT_OUT]) < tonumber(w[IN_CANARY])", "gone - tonumber(w[LEFT_OUT]) + 1 < tonumber(w[IN_CANARY])"), model},
	{"a canary that counts who was left out", one(preludeLua, "gone - tonumber(w[LEFT_OUT]) <", "gone <"), model},
	{"a campaign that is resumed and paused for the same again", one("internal/ledger/control.lua", "  accept_so_far()\n", ""), tests("internal/ledger", "TestARunningCampaignIsPausedForItsLimit")},
	{"a retry that counts twice", one("internal/ledger/retry_step.lua", "try_again(count)\n", ""), model},
	{"many good ones that hide the bad ones", one(preludeLua, "elseif ended >= tonumber(w[SPAN]) then", "elseif false then"), model},
	{"a canary whose calls take others along", one("internal/planning/planner.go", "if p.count == p.spec.Canary {", "if false {"), tests("worker", "TestOfAFailingCampaignOnlyTheCanaryArrives")},
	{"a part that is refused and keeps the others from their turn", one("worker/batch.go", "a.Due.Compare(b.Due), ", ""), tests("worker", "TestABadPartDoesNotKeepTheGoodOneFromItsTurn")},
}
