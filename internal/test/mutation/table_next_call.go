package main

const (
	nextCallLua = "internal/ledger/settle_and_claim.lua"
	nextCallGo  = "internal/dispatch/next.go"
)

// nextCallMutants break the script that settles a call and claims the next one, and its callers.
var nextCallMutants = []mutant{
	{"the next call claimed in a paused campaign", one(nextCallLua, "not (v[2] or v[3] or v[6])", "not (v[2] or v[6])"), nextTests},
	{"the next call claimed in a stopped campaign", one(nextCallLua, "not (v[2] or v[3] or v[6])", "not (v[3] or v[6])"), nextTests},
	{"the next call claimed after a stale settle", one(nextCallLua, "if was ~= token or size ~= ARGV[i + CALL_SIZE]", "if was == nil or size ~= ARGV[i + CALL_SIZE]"), nextTests},
	{"the next call claimed while another worker has it", one(nextCallLua, "if other then\n    local was, first, uuid = match(other, ", "if other and string.find(other, mine, 1, true) then\n    local was, first, uuid = match(other, "), nextTests},
	{"the next call claimed despite a later wake-up", one(nextCallLua, "(tonumber(wake or 0) or 1 / 0) > tonumber(ARGV[i + WAKE])", "false"), nextTests},
	{"the next call claimed after the campaign expired", one(nextCallLua, "if v[4] and now >= (tonumber(v[4]) or 0) then", "if false then"), nextTests},
	{"the next call claimed outside sending hours", one(nextCallLua, "simple = simple and open", ""), nextTests},
	{"the next call claimed with old exclusions", one(nextCallLua, " and (v[5] or '') == exclusions and", " and"), nextTests},
	{"the next call claimed without checking the failure limit", one(nextCallLua, "not (v[2] or v[3] or v[6])", "not (v[2] or v[3])"), nextTests},
	{"the last call of a batch settled like any other", one(nextCallLua, "if left < 1 or", "if left < 0 or"), nextTests},
	{"a repeated settle and claim accepts another token", one(nextCallLua, "if was ~= mine or match(this", "if match(this"), nextTests},
	{"a full Redis accepts the next claim", one("internal/ledger/scripts.go", `binding(plainScript("settle_and_claim"))`, `binding(script.NewAlwaysAllowed("settle_and_claim", mustSource("settle_and_claim")))`),
		tests("internal/ledger", "TestSettleAndClaim_FullRedisRefusesItButTakesTheSettle")},
	{"the next claim does not wait until it is durable", one("internal/ledger/scripts.go", `binding(plainScript("settle_and_claim"))`, `plainScript("settle_and_claim")`),
		tests("internal/ledger", "TestDurability_SettleAndClaimWithoutAReplicaIsNotGranted")},
	{"recipients that were not accepted settled together with the next claim", one("internal/ledger/settle_and_claim.go", "if x.Status != campaign.Accepted || x.Generation != 0 {", "if x.Generation != 0 {"), nextTests},
	{"doubt settled together with the next claim", one("internal/ledger/settle_and_claim.go", "c.Result != ClaimGranted || c.Doubt || ", "c.Result != ClaimGranted || "), nextTests},
	{"two calls of one batch settled in one script run", one(nextCallLua, "if not this or done[b] then", "if not this then"), tests("internal/ledger", "TestSettleAndClaim_SharedRunEqualsSeparateRuns")},
	{"all accounts counted as the first one", one(nextCallLua, "account(match(b, '^%d+'))", "account('0')"), nextTests},
	{"a finished pipeline counted as running", one("internal/script/batcher.go", "\t\treturn\n\t}\n\tb.busy--\n}", "\t\treturn\n\t}\n}"),
		tests("internal/script", "TestBatcherPanicKeepsNobodyWaiting")},
	{"callers of one script run get each other's results", one("internal/script/batcher.go", "a.answer = out[i]", "a.answer = out[len(out)-1-i]"),
		tests("internal/ledger", "TestSettleAndClaim_ConcurrentRequestsGetTheirOwnAnswer")},
	{"the next call claimed on a held account", one("internal/dispatch/report.go", "h.calls, h.reportedAt, h.open, h.free = 0, now, err == nil && !hold.Held(), false", "h.calls, h.reportedAt, h.open, h.free = 0, now, err == nil, hold.Held() && false"),
		tests("worker", "TestSettleAndClaim_NotDuringAHold")},
	{"an account's state never expires", one("internal/dispatch/health.go", "return h.open && h.free && time.Since(h.reportedAt) < reportEvery", "return h.open && h.free"),
		tests("worker", "TestSettleAndClaim_NotDuringAHold|TestSettleAndClaim_NotWithARate")},
	{"the next call claimed without reserving rate", one("internal/dispatch/report.go", "h.free, err = acc.free(ctx)", "_, err = acc.free(ctx)\n\t\th.free = true"),
		tests("worker", "TestSettleAndClaim_NotWithARate")},
	{"a next claim without an answer is not released", one(nextCallGo, "return followUp{unused: claim}\n\t}\n\tif !ok {", "return followUp{}\n\t}\n\tif !ok {"),
		tests("worker", "TestSettleAndClaim_LostAnswerLosesNothing")},
}

var nextTests = tests("internal/ledger", "TestSettleAndClaim_.*")
