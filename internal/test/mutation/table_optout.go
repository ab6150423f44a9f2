package main

const (
	narrowLua       = "internal/ledger/narrow.lua"
	exclusionsGo    = "internal/dispatch/blacklist.go"
	blacklistRuleGo = "internal/blacklist/rule.go"
)

// optOutMutants break suppression lists and exclusions.
var optOutMutants = []mutant{
	{"a claim is granted to a worker that has outdated exclusions", one(preludeLua, "return (get('ex') or '') ~= version end", "return false end"), model},
	{"narrow.lua removes opted-out recipients from a doubtful generation", one(narrowLua, "if rec[STATE] ~= 'r' or", "if rec[STATE] == 's' or"), tests("internal/ledger", "TestOptOutNarrow_DoubtfulCallKeepsItsRecipients")},
	{"a generation from which recipients were removed keeps its idempotency key", one(preludeLua, "int(#keep), int(tonumber(rec[REV]) + 1), '-', '-', '0'", "int(#keep), rec[REV], rec[UUID], rec[LOGIN], rec[FIRST]"), model},
	{"narrow.lua leaves opted-out recipients in the pending count", one(narrowLua, "add('pending', -count)\nadd('unknown', was)\nadd('was', -was)", "add('unknown', was)\nadd('was', -was)"), model},
	{"narrow.lua leaves opted-out recipients in the count of their stream", one(narrowLua, "if lane then add('to:' .. lane, was - count) end\n", ""), model},
	{"narrow.lua skips opted-out recipients that were unknown before a retry or resend", one(narrowLua, "if was_unknown(de[i]) then\n      st[i], de[i], was =", "if false then\n      st[i], de[i], was ="), model},
	{"a retry ignores the suppression lists", one("internal/ledger/retry.go", "if on[m] != \"\" {\n\t\t\topted = binary.BigEndian", "if on[m] != \"\" && false {\n\t\t\topted = binary.BigEndian"), model},
	{"exclusions are not read again after Redis has lost some of them", one("internal/ledger/exclude.go", "if at == from && i == 0 && token != \"\" && parts[0] != token {", "if false {"),
		tests("internal/ledger", "TestOptOutExclusions_ReadAgainAfterRedisLostSome")},
	{"an opt-out adds no exclusion to campaigns that are being sent", one("internal/ledger/exclude_open.go", "in, err = x.ledger.Exclude(ctx, id, x.list, x.numbers)\n\t\tif err == nil && in.Recipients > 0 {\n\t\t\tcalls", "in, err = InFlight{}, error(nil)\n\t\tif err == nil && in.Recipients > 0 {\n\t\t\tcalls"),
		tests("worker", "TestOptOut_DuringSendingRecipientsAreLeftOut")},
	{"planning ignores the suppression lists", one("internal/planning/planner.go", "if list, ok := p.opted[m]; ok {", "if list, ok := p.opted[m]; ok && false {"),
		tests("worker", "TestOptOut_PlanSkipsOptedOutRecipients")},
	{"numbers that a gateway rejects as blacklisted are not added to the suppression list", one(exclusionsGo, "case r.Status == campaign.Rejected && r.Reason == providers.ReasonBlacklisted:",
		"case r.Status == campaign.Accepted && r.Reason == providers.ReasonBlacklisted:"), tests("worker", "TestOptOut_GatewayBlacklistAddsToTheList")},
	{"a number is suppressed although the sender ID may be the reason", one(blacklistRuleGo, "return nil, before/RunLimit", "return s.waiting, before/RunLimit"),
		tests("worker", "TestBlacklist_AddsOnceTheSenderIsProven")},
	{"a number is suppressed although no recipient of the sender ID was accepted before it", one(blacklistRuleGo, "if time.Since(s.acceptedAt) < verdict.ProvenFor && s.run", "if s.run"),
		tests("worker", "TestBlacklist_UnprovenSenderSuppressesNoRecipient")},
	{"a run of blacklisted recipients does not pause the campaign", one(blacklistRuleGo, "return nil, before/RunLimit < s.run/RunLimit", "return nil, false && before/RunLimit < s.run/RunLimit"),
		tests("worker", "TestBlacklist_OfEveryRecipientPausesTheCampaign")},
	{"a large call of blacklisted recipients rejects them", one(verdictGo, "return len(results) >= massBlacklist", "return false && len(results) >= massBlacklist"),
		tests("worker", "TestBlacklist_OfEveryRecipientPausesTheCampaign")},
	{"the first recipient of a call gets its message despite an opt-out", one("internal/ledger/exclude.go", "if list, ok := x.numbers[p.MSISDN]; ok {\n\t\t\t\tif optedOut == nil {",
		"if list, ok := x.numbers[p.MSISDN]; ok && (optedOut != nil || i > 0) {\n\t\t\t\tif optedOut == nil {"),
		chaos("came after its opt-out was back")},
	{"a claim that names its recipients ignores newer opt-outs of them", one(claimLua, "if named[m] then return true end", "if named[m] then return false end"), tests("internal/ledger", "TestOptOutExclude_OptOutsOfOthersDoNotRefuseAClaim")},
	{"a claim that names its recipients ignores that Redis has lost opt-outs", one(claimLua, "if first > 0 and string.match(entries[1]", "if false and string.match(entries[1]"), tests("internal/ledger", "TestOptOutExclude_OptOutsOfOthersDoNotRefuseAClaim")},
	{"the opt-outs of other people refuse every claim", one("internal/dispatch/request.go", "request.NameRecipients = true\n\t\treq.claim, err", "request.NameRecipients = false\n\t\treq.claim, err"), tests("worker", "TestOptOut_ManyByOthersDoNotStopACampaign")},
	{"a repeated opt-out is written each time", one("internal/ledger/exclude.lua", "string.sub(entry, -#same) == same", "string.sub(entry, -#same) == token"), tests("internal/ledger", "TestOptOutExclude_RepeatedOptOutIsWrittenOnce")},
	{"a repeated settle of an earlier try replaces the skip of a recipient that has opted out", one(settleLua, "if ns >= 3 or ns > 0 and (same or forgotten) then opted", "if ns >= 1 then opted"), tests("internal/ledger", "TestOptOutNarrow_RepeatedSettleOfAnEarlierGeneration")},
	{"an exclusion is written without waiting until it is durable", one("internal/ledger/scripts.go", "binding(alwaysAllowed(\"exclude\"))", "alwaysAllowed(\"exclude\")"), tests("internal/ledger", "TestDurability_WritesWithoutAReplicaAreReported")},
}
