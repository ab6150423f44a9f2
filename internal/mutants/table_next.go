package main

const (
	nextLua  = "internal/ledger/next.lua"
	onwardGo = "worker/onward.go"
)

// inNext are wrong in the settle that claims the next call, and in what leads to it.
var inNext = []mutant{
	{"the next is claimed although the campaign is paused", one(nextLua, "(v[4] or v[5]) and not v[3]", "v[4] and not v[3]"), nextTests},
	{"the next is claimed although the campaign is stopped", one(nextLua, "(v[4] or v[5]) and not v[3]", "v[5] and not v[3]"), nextTests},
	{"the next is claimed although the settle was stale", one(nextLua, "if was ~= token or size", "if was == nil or size"), nextTests},
	{"the next is claimed although somebody has it", one(nextLua, "if v[3] then\n", "if v[3] and string.find(v[3], mine, 1, true) then\n"), nextTests},
	{"the next is claimed past a later wake", one(nextLua, "or ARGV[8] ~= '0' and (tonumber(v[7] or 0) or 1 / 0) > tonumber(ARGV[8]) then", "then"), nextTests},
	{"the next is claimed past the expiry", one(nextLua, "if v[6] and now >= (tonumber(v[6]) or 0) or ", "if "), nextTests},
	{"the next is claimed while it is closed", one(nextLua, "if not open then return {'apart'} end", ""), nextTests},
	{"the next is claimed without the opt-outs", one(nextLua, " or (v[17] or '') ~= ARGV[15] then", " then"), nextTests},
	{"the next is claimed and the limit not judged", one(nextLua, "  if v[16] then return {'apart'} end", "  "), nextTests},
	{"the last of a batch is settled as if it were none", one(nextLua, "if left < 1 or", "if left < 0 or"), nextTests},
	{"who is said again is claimed anew", one(nextLua, "if was ~= mine or match(v[2]", "if match(v[2]"), nextTests},
	{"a full Redis takes the next claim", one("internal/ledger/script.go", `binding(plainScript("next"))`, `binding(alwaysAllowed(plainScript("next"), mustSource("next")))`), nextTests},
	{"the next claim needs no barrier", one("internal/ledger/script.go", `binding(plainScript("next"))`, `plainScript("next")`),
		tests("internal/ledger", "TestANextThatNoReplicaHasIsNoLeaveToSend")},
	{"who is not accepted is settled with the next", one("internal/ledger/next.go", "if x.Status != Accepted || x.Generation != 0 {", "if x.Generation != 0 {"), nextTests},
	{"doubt is settled with the next", one("internal/ledger/next.go", "c.Answer != ClaimGo || c.Doubt || ", "c.Answer != ClaimGo || "), nextTests},
	{"everybody in a pipeline has the first one's answer", one("internal/ledger/together.go", "a.answer, a.err = cmds[i].Result()", "a.answer, a.err = cmds[0].Result()"),
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
