package main

const (
	narrowLua = "internal/ledger/narrow.lua"
	consentGo = "worker/consent.go"
)

// inConsent are about people who have opted out.
var inConsent = []mutant{
	{"a claim that has not read the opt-outs", one(preludeLua, "return (get('ex') or '') ~= version end", "return false end"), model},
	{"doubt that is narrowed", one(narrowLua, "if rec[STATE] ~= 'r' or", "if rec[STATE] == 's' or"), tests("internal/ledger", "TestDoubtGoesOnWithWhoHasOptedOut")},
	{"a narrowed call that is the same request", one(preludeLua, "int(#keep), int(tonumber(rec[REV]) + 1), '-', '-', '0'", "int(#keep), rec[REV], rec[UUID], rec[LOGIN], rec[FIRST]"), model},
	{"who opts out is still pending in the counts", one(narrowLua, "add('pending', -count)\n", ""), model},
	{"who opts out is with an account in the counts", one(narrowLua, "if lane then add('to:' .. lane, was - count) end\n", ""), model},
	{"who was unknown and opts out is called not sent", one(narrowLua, "if was_unknown(de[i]) then", "if false then"), model},
	{"a retry that does not look at the list", one("internal/ledger/retry.go", "if on[m] != \"\" {", "if false {"), model},
	{"opt-outs that are not read anew after Redis forgot", one("internal/ledger/exclude.go", "if at == from && i == 0 && token != \"\" && parts[0] != token {", "if false {"),
		tests("internal/ledger", "TestExclusionsThatRedisForgotAreReadAnew")},
	{"an opt-out that tells no open campaign", one("internal/ledger/suppress.go", "in, err := l.Exclude(ctx, e.ID, list, numbers)", "in, err := InFlight{}, error(nil)"),
		tests("worker", "TestWhoOptsOutOfARunningCampaignIsNotCalled")},
	{"planning that does not look at the list", one("internal/planning/planner.go", "if list, ok := p.opted[m]; ok {", "if list, ok := p.opted[m]; ok && false {"),
		tests("worker", "TestPlanningLeavesOutWhoHasOptedOut")},
	{"a gateway's blacklist that is forgotten", one(consentGo, "r.Status == ledger.Rejected && r.Reason", "false && r.Reason"), tests("worker", "TestAGatewaysBlacklistIsOurs")},
	{"a call to whom had opted out, if nobody else in it has", one("internal/ledger/exclude.go", "if list, ok := x.numbers[p.MSISDN]; ok {", "if list, ok := x.numbers[p.MSISDN]; ok && (gone != nil || i > 0) {"),
		chaos("came after its opt-out was back")},
	{"an opt-out without its barrier", one("internal/ledger/script.go", "binding(settling(\"exclude\"))", "settling(\"exclude\")"), tests("internal/ledger", "TestOrdersWaitUntilTheyAreDurable")},
}
