package main

const (
	nextCallLua = "internal/ledger/settle_and_claim.lua"
	nextCallGo  = "internal/dispatch/next.go"
)

// nextCallMutants break settle_and_claim.lua, which settles a call and claims the next call. They
// also break the Go code that runs this script.
var nextCallMutants = []mutant{
	{"settle_and_claim.lua claims the next call in a paused campaign", one(nextCallLua, "not (v[2] or v[3] or v[6])", "not (v[2] or v[6])"), nextTests},
	{"settle_and_claim.lua claims the next call in a stopped campaign", one(nextCallLua, "not (v[2] or v[3] or v[6])", "not (v[3] or v[6])"), nextTests},
	{"settle_and_claim.lua settles a call that another token has claimed", one(nextCallLua, "if was ~= token or size ~= ARGV[i + CALL_SIZE]", "if was == nil or size ~= ARGV[i + CALL_SIZE]"), nextTests},
	{"settle_and_claim.lua claims a next call that was already claimed", one(nextCallLua, "if other then\n    local was, first, uuid = match(other, ", "if other and string.find(other, mine, 1, true) then\n    local was, first, uuid = match(other, "), nextTests},
	{"settle_and_claim.lua claims the next call although a later task for the batch exists", one(nextCallLua, "(tonumber(wake or 0) or 1 / 0) > tonumber(ARGV[i + WAKE])", "false"), nextTests},
	{"settle_and_claim.lua claims the next call after the campaign has expired", one(nextCallLua, "if v[4] and now >= (tonumber(v[4]) or 0) then", "if false then"), nextTests},
	{"settle_and_claim.lua claims the next call outside the sending hours", one(nextCallLua, "simple = simple and open", ""), nextTests},
	{"settle_and_claim.lua claims the next call for a worker with outdated exclusions", one(nextCallLua, " and (v[5] or '') == exclusions and", " and"), nextTests},
	{"settle_and_claim.lua handles campaigns with a failure threshold, which it does not check", one(nextCallLua, "not (v[2] or v[3] or v[6])", "not (v[2] or v[3])"), nextTests},
	{"settle_and_claim.lua settles the last call of a batch, which settle.lua must do", one(nextCallLua, "if left < 1 or", "if left < 0 or"), nextTests},
	{"settle_and_claim.lua returns a claim of another token when a request is repeated", one(nextCallLua, "if was ~= mine or match(this", "if match(this"), nextTests},
	{"a full Redis runs settle_and_claim.lua", one("internal/ledger/scripts.go", `binding(plainScript("settle_and_claim"))`, `binding(script.NewAlwaysAllowed("settle_and_claim", mustSource("settle_and_claim")))`),
		tests("internal/ledger", "TestSettleAndClaim_FullRedisRefusesItButTakesTheSettle")},
	{"settle_and_claim.lua grants a claim without waiting until it is durable", one("internal/ledger/scripts.go", `binding(plainScript("settle_and_claim"))`, `plainScript("settle_and_claim")`),
		tests("internal/ledger", "TestDurability_SettleAndClaimWithoutAReplicaIsNotGranted")},
	{"settle_and_claim.lua gets a call with recipients that were not accepted", one("internal/ledger/settle_and_claim.go", "if x.Status != campaign.Accepted || x.Generation != 0 {", "if x.Generation != 0 {"), nextTests},
	{"settle_and_claim.lua gets a doubtful call", one("internal/ledger/settle_and_claim.go", "c.Result != ClaimGranted || c.Doubt || ", "c.Result != ClaimGranted || "), nextTests},
	{"one run of settle_and_claim.lua settles two calls of the same batch", one(nextCallLua, "if not this or done[b] then", "if not this then"), tests("internal/ledger", "TestSettleAndClaim_SharedRunEqualsSeparateRuns")},
	{"settle_and_claim.lua adds the counts of all streams to stream 0", one(nextCallLua, "account(match(b, '^%d+'))", "account('0')"), nextTests},
	{"the batcher counts a finished pipeline as running", one("internal/script/batcher.go", "\t\treturn\n\t}\n\tb.busy--\n}", "\t\treturn\n\t}\n}"),
		tests("internal/script", "TestBatcherPanicKeepsNobodyWaiting")},
	{"the batcher gives the callers of one script run each other's results", one("internal/script/batcher.go", "a.answer = out[i]\n\t\t}", "a.answer = out[len(out)-1-i]\n\t\t}"),
		tests("internal/ledger", "TestSettleAndClaim_ConcurrentRequestsGetTheirOwnAnswer")},
	{"a worker settles and claims in one script while the account is held", one("internal/dispatch/report.go", "h.calls, h.reportedAt, h.open, h.free = 0, now, err == nil && !hold.Held(), false", "h.calls, h.reportedAt, h.open, h.free = 0, now, err == nil, hold.Held() && false"),
		tests("worker", "TestSettleAndClaim_NotDuringAHold")},
	{"a worker relies on an account's state for an unlimited time", one("internal/dispatch/health.go", "return h.open && h.free && time.Since(h.reportedAt) < reportEvery", "return h.open && h.free"),
		tests("worker", "TestSettleAndClaim_NotDuringAHold|TestSettleAndClaim_NotWithARate")},
	{"a worker claims the next call of an account that has a rate without reserving rate", one("internal/dispatch/report.go", "h.free, err = acc.free(ctx)", "_, err = acc.free(ctx)\n\t\th.free = true"),
		tests("worker", "TestSettleAndClaim_NotWithARate")},
	{"a worker does not release the next claim if it gets no answer to settle_and_claim.lua", one(nextCallGo, "return followUp{unused: claim}\n\t}\n\tif !ok {", "return followUp{}\n\t}\n\tif !ok {"),
		tests("worker", "TestSettleAndClaim_LostAnswerLosesNothing")},
}

// nextTests are the ledger's tests of settle_and_claim.lua.
var nextTests = tests("internal/ledger", "TestSettleAndClaim_.*")
