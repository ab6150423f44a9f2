package main

const (
	nextLua  = "internal/ledger/settle_and_claim.lua"
	onwardGo = "worker/onward.go"
)

// inNext are wrong in the settle that claims the next call, and in what leads to it.
var inNext = []mutant{
	{"the next is claimed although the campaign is paused", one(nextLua, "not (v[2] or v[3] or v[6])", "not (v[2] or v[6])"), nextTests},
	{"the next is claimed although the campaign is stopped", one(nextLua, "not (v[2] or v[3] or v[6])", "not (v[3] or v[6])"), nextTests},
	{"the next is claimed although the settle was stale", one(nextLua, "if was ~= token or size", "if was == nil or size"), nextTests},
	{"the next is claimed although somebody has it", one(nextLua, "if other then\n", "if other and string.find(other, mine, 1, true) then\n"), nextTests},
	{"the next is claimed past a later wake", one(nextLua, "(tonumber(wake or 0) or 1 / 0) > tonumber(ARGV[i + 7])", "false"), nextTests},
	{"the next is claimed past the expiry", one(nextLua, "if v[4] and now >= (tonumber(v[4]) or 0) then", "if false then"), nextTests},
	{"the next is claimed while it is closed", one(nextLua, "simple = simple and open", ""), nextTests},
	{"the next is claimed without the opt-outs", one(nextLua, " and (v[5] or '') == version and", " and"), nextTests},
	{"the next is claimed and the limit not judged", one(nextLua, "not (v[2] or v[3] or v[6])", "not (v[2] or v[3])"), nextTests},
	{"the last of a batch is settled as if it were none", one(nextLua, "if left < 1 or", "if left < 0 or"), nextTests},
	{"who is said again is claimed anew", one(nextLua, "if was ~= mine or match(this", "if match(this"), nextTests},
	{"a full Redis takes the next claim", one("internal/ledger/script.go", `binding(plainScript("next"))`, `binding(alwaysAllowed(plainScript("next"), mustSource("next")))`),
		tests("internal/ledger", "TestAFullRedisRefusesTheNextAndTakesTheSettle")},
	{"the next claim needs no barrier", one("internal/ledger/script.go", `binding(plainScript("next"))`, `plainScript("next")`),
		tests("internal/ledger", "TestANextThatNoReplicaHasIsNoLeaveToSend")},
	{"who is not accepted is settled with the next", one("internal/ledger/next.go", "if x.Status != Accepted || x.Generation != 0 {", "if x.Generation != 0 {"), nextTests},
	{"doubt is settled with the next", one("internal/ledger/next.go", "c.Answer != ClaimGo || c.Doubt || ", "c.Answer != ClaimGo || "), nextTests},
	{"two calls of one batch are settled in one run", one(nextLua, "if not this or done[b] then", "if not this then"), tests("internal/ledger", "TestNextsThatShareARun.*")},
	{"what one account has counts for the other", one(nextLua, "account(match(b, '^%d+'))", "account('0')"), nextTests},
	{"a pipeline that has ended counts as under way", one("internal/ledger/together.go", "\tt.busy--\n", ""),
		tests("internal/ledger", "TestAPanicInAPipelineKeepsNobodyWaiting")},
	{"everybody in a run has somebody else's answer", one("internal/ledger/together.go", "a.answer = out[i]", "a.answer = out[len(out)-1-i]"),
		tests("internal/ledger", "TestManyNextsAtOnceAreEachTheirOwn")},
	{"a held account goes on by itself", one(onwardGo, "h.calls, h.told, h.open, h.free = 0, now, err == nil && !hold.Held(), false", "h.calls, h.told, h.open, h.free = 0, now, err == nil, hold.Held() && false"),
		tests("worker", "TestAfterAHoldNoSettleClaimsTheNext")},
	{"a look at an account is good for ever", one(onwardGo, "return h.open && h.free && time.Since(h.told) < wellEvery", "return h.open && h.free"),
		tests("worker", "TestAfterAHoldNoSettleClaimsTheNext|TestWhereThereIsARateEveryCallIsBooked")},
	{"a rate is not asked for", one(onwardGo, "h.free, err = s.acc.free(ctx)", "_, err = s.acc.free(ctx)\n\t\th.free = true"),
		tests("worker", "TestWhereThereIsARateEveryCallIsBooked")},
	{"what nobody heard of is not given back", one(onwardGo, "return nil, false, claim\n", "return nil, false, nil\n"),
		tests("worker", "TestANextWhoseAnswerIsLostCostsNobodyAnything")},
}

var nextTests = tests("internal/ledger", "TestNext.*")
