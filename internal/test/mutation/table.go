package main

import (
	"slices"
	"time"
)

// model is the ledger's model test. It runs random sequences of operations on a campaign
// and compares the ledger with plain data after each.
var model = catcher{pkg: "internal/ledger", tests: "TestModel_RandomSequencesKeepTheGuarantees", limit: 8 * time.Minute,
	args: []string{"-rapid.checks=500", "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=2s"}}

// chaos returns a short chaos run. want is an expression for the broken promise that it must report.
func chaos(want string) catcher {
	return catcher{pkg: chaosFolder, args: []string{"-quick", "-for", "20s", "-seed", "1"}, want: want, limit: 9 * time.Minute}
}

// tests returns a catcher of tests of a package. names is an expression; one failing test is enough.
func tests(pkg, names string) catcher {
	return catcher{pkg: pkg, tests: names, limit: 2 * time.Minute}
}

// one returns a single edit.
func one(file, old, new string) []edit { return []edit{{file, old, new}} }

const (
	claimLua   = "internal/ledger/claim.lua"
	settleLua  = "internal/ledger/settle.lua"
	releaseLua = "internal/ledger/release.lua"
	callGo     = "internal/dispatch/call.go"
	claimGo    = "internal/dispatch/claim.go"
	verdictGo  = "internal/verdict/verdict.go"
	twice      = `accepted it \d+ times|duplicates`
)

var mutants = slices.Concat(keyMutants, scriptMutants, workerMutants, nextCallMutants, failoverMutants, limitMutants,
	personalMutants, optOutMutants)

// keyMutants break the rules that keep a message from being sent twice.
var keyMutants = []mutant{
	{"claim after the call instead of before", []edit{
		{claimGo, "\treq, err := s.requestClaim(ctx, b, g, b.schedule.open(), a.exclusions)\n\tdefer func() {",
			"\tb.early = s.callEarly(b, submission{gen: g})\n\treq, err := s.requestClaim(ctx, b, g, b.schedule.open(), a.exclusions)\n\tdefer func() {"},
		{callGo, "results, err := callProvider(ctx, b.acc.Provider, providers.Batch{IdempotencyKey: sub.claim.IdempotencyKey.String(),",
			"_ = ctx\n\tresults, err := b.early.results, b.early.err\n\t_ = (providers.Batch{IdempotencyKey: sub.claim.IdempotencyKey.String(),"},
		{callGo, "type answer struct {\n\tresults []providers.Result\n\terr     error\n}", `func (s *Sender) callEarly(b *batch, sub submission) answer {
	ctx, cancel := context.WithTimeout(context.Background(), b.acc.Timeout)
	defer cancel()
	results, err := callProvider(ctx, b.acc.Provider, providers.Batch{IdempotencyKey: b.idempotencyKey(sub.gen).String(),
		From: b.sender(), Body: b.body(sub.gen), To: numbersOf(sub.gen.To)})
	return answer{results: results, err: err}
}

type answer struct {
	results []providers.Result
	err     error
}`},
		{"internal/dispatch/batch.go", "type batch struct {\n\t*slot\n", "type batch struct {\n\t*slot\n\tearly answer\n"},
	}, chaos(twice)},
	{"doubt forgotten after a later error", one(releaseLua, "if rec[DOUBT] == '1' then\n  rec[STATE] = 'd'",
		"if rec[DOUBT] == '1' and renew == '1' then rec[DOUBT] = '0' end\nif rec[DOUBT] == '1' then\n  rec[STATE] = 'd'"), model},
	{"doubt forgotten after a later error_gw", []edit{
		{verdictGo, "e.Outcome == providers.Retryable && e.KeepKey:", "e.Outcome == providers.Retryable && e.KeepKey && !s.Doubt:"},
		{releaseLua, "if rec[DOUBT] == '1' then\n  rec[STATE] = 'd'", "rec[DOUBT] = '0'\nif rec[DOUBT] == '1' then\n  rec[STATE] = 'd'"},
	}, tests("internal/verdict", "TestVerdict_PossiblySentIsNeverNotSent")},
	{"idempotency key recomputed instead of stored at the first claim", one(claimLua, "if rec[STATE] == 'd' then\n  local ttl",
		"if rec[STATE] == 'd' then\n  rec[UUID] = idempotency_key\n  local ttl"), model},
	{"idempotency key recomputed from the remaining recipients", []edit{
		{settleLua, "  rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + (looked and 0 or 1))\n", `  rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + 1)
  local left = {}
  for _, p in ipairs(members(b, k, g, n)) do
    if not solved[p] then left[#left + 1] = p end
  end
  set(members_field(b, k, g), pack_members(left))
  rec[UUID], rec[SIZE] = '-', int(#left)
`},
		{claimLua, "if rec[STATE] == 'd' then\n  local ttl", "if rec[STATE] == 'd' then\n  if rec[UUID] == '-' then rec[UUID] = idempotency_key end\n  local ttl"},
	}, model},
	{"idempotency key recomputed by the worker from fewer recipients", []edit{
		{callGo, "providers.Batch{IdempotencyKey: sub.claim.IdempotencyKey.String(),", "providers.Batch{IdempotencyKey: b.narrowed(sub.claim, sub.gen).String(),"},
		{"internal/dispatch/request.go", "func (b *batch) idempotencyKey(g *ledger.Generation) uuid.UUID {", `func (b *batch) narrowed(c *ledger.Claim, g *ledger.Generation) uuid.UUID {
	if !c.Doubt || len(g.To) < 2 {
		return c.IdempotencyKey
	}
	less := *g
	less.To = g.To[1:]
	return b.idempotencyKey(&less)
}

func (b *batch) idempotencyKey(g *ledger.Generation) uuid.UUID {`},
	}, chaos(twice)},
	{"a 502 treated as retryable", one("providers/httpclient/status.go", "\tdefault:\n\t\te.Outcome, e.Scope, e.Cause = providers.Unknown, providers.Call, providers.CauseGateway",
		"\tdefault:\n\t\te.Outcome, e.Scope, e.Cause = providers.Retryable, providers.Account, providers.CauseGateway"), chaos(twice)},
	{"a settle refused after the lease ended", one(settleLua, "local mine = state == 's' and rec[TOKEN] == token\n",
		"local mine = state == 's' and rec[TOKEN] == token\nif mine and now >= tonumber(rec[LEASE]) then return {'superseded'} end\n"), model},
}

// scriptMutants break the ledger's scripts.
var scriptMutants = []mutant{
	{"a claim granted while another lease runs", one(claimLua, "if now < tonumber(rec[LEASE]) then return {'busy', rec[LEASE]} end", ""), model},
	{"an expired lease does not mark doubt", one(claimLua, "rec[STATE], rec[DOUBT] = 'd', '1'\n    add('flyc', -1)", "rec[STATE], rec[DOUBT] = 'd', '0'\n    add('flyc', -1)"), model},
	{"a doubtful call retried without an idempotency key", one(claimLua, "elseif ttl == 0 then why = 'no_key'\n", "elseif ttl == 0 then ttl = 1e15\n"), model},
	{"a doubtful call retried after its idempotency key expired", one(claimLua, "elseif now - tonumber(rec[FIRST]) > ttl then why = 'key_expired' end", "end"), model},
	{"a doubtful call retried under another login", one(claimLua, "if rec[LOGIN] ~= login then why = 'login_changed'\n  elseif ttl == 0", "if ttl == 0"), model},
	{"a repeated settle of a reconciliation counted twice", one(settleLua, "elseif looked and state == 'd' and rec[BAD] == lookups then", "elseif looked and state == 'd' then"), model},
	{"a claim granted in a paused campaign", one(claimLua, "if paused then return {'paused'} end", ""), model},
	{"a claim granted before its back-off ended", one(claimLua, "if now < tonumber(rec[DUE]) then return {'later', rec[DUE]} end", ""), model},
	{"a claim granted for an old revision of a generation", one(claimLua, "if rec[REV] ~= revision then return {'changed'} end", ""), model},
	{"a claim granted in a stopped campaign", one(claimLua, "if why then return {'stopped', why, rec[STATE] == 'd' and '1' or '0'} end", ""), model},
	{"a claim uses the worker's clock instead of Redis time", []edit{
		{claimLua, "local now = now_ms()\nlocal exp = get('exp')", "local now = tonumber(ARGV[14])\nlocal exp = get('exp')"},
		{"internal/ledger/claim.go", "script.Args(r.args(c.Token))...)", "append(script.Args(r.args(c.Token)), time.Now().UnixMilli())...)"},
	}, tests("internal/ledger", "TestNow_LeasesAndBackOffsUseTheClockOfRedis")},
	{"the sweeper uses its own clock instead of Redis time", one("internal/script/script.go", "\tt, err := r.rdb.Time(ctx).Result()",
		"\tt, err := time.Now(), ctx.Err()"), tests("internal/ledger", "TestNow_LeasesAndBackOffsUseTheClockOfRedis")},

	{"a doubtful generation given up as rejected", []edit{
		{settleLua, "if rec[DOUBT] == '1' and (ns == 2 and basis ~= 'answer' or ns == 0 and mine) then ns = 1 end",
			"if rec[DOUBT] == '1' and ns == 0 and mine then ns = 1 end"},
		{"internal/dispatch/end.go", "campaign.Record{Status: campaign.Unknown, Reason: why}", "campaign.Record{Status: campaign.Rejected, Reason: why}"},
	}, tests("worker", "TestCancel_DoubtfulCallEndsUnknown")},
	{"doubt settled as rejected by the worker's own decision", one(settleLua, "(ns == 2 and basis ~= 'answer' or ns == 0 and mine)", "(ns == 0 and mine)"), model},
	{"a temporary refusal clears doubt", one(settleLua, "(ns == 2 and basis ~= 'answer' or ns == 0 and mine)", "(ns == 2 and basis ~= 'answer')"), model},
	{"a worker's decision settles another worker's claim", one(settleLua, "elseif not mine and state ~= 'r' and basis == 'verdict' and a == 0 then", "elseif false then"), model},
	{"a generation in flight is abandoned", one(settleLua, "if state == 's' then return {'superseded'} end", ""), tests("internal/ledger", "TestSettle_SecondAcceptedCountsAsResent|TestSettle_AbandonOfACallInFlightIsStale")},
	{"a late acceptance does not replace a rejection", one(settleLua, "  elseif ns >= 3 then\n    move(STATUS[os], -1)", "  elseif ns >= 3 and os ~= 2 then\n    move(STATUS[os], -1)"), tests("internal/ledger", "TestSettle_SecondAcceptedCountsAsResent|TestSettle_AbandonOfACallInFlightIsStale")},
	{"unknown recipients resent twice", one(settleLua, "if ns == 1 and resend and not was_unknown(de[i]) then", "if ns == 1 and resend then"), model},
	{"unknown recipients resent in a stopped campaign", one(settleLua, "local resend = may_resend == '1' and not stopped", "local resend = may_resend == '1'"), model},
	{"a doubtful generation is split", one("internal/ledger/split.lua", "if rec[DOUBT] == '1' then return {'doubtful'} end", ""), model},
	{"a repeated split does not return its first result", one("internal/ledger/split.lua", `if rec[T_TOKEN] ~= half(token) then return {'settled'} end
  told(rec, wakes)
  return answer()
end
if rec[TOKEN] ~= token or rec[STATE] ~= 's'`, `if rec[T_TOKEN] == half(token) then return {'settled'} end
  told(rec, wakes)
  return answer()
end
if rec[TOKEN] ~= token or rec[STATE] ~= 's'`), model},
	{"doubt.lua ends another worker's claim", one("internal/ledger/doubt.lua", "if rec[TOKEN] ~= token then return {'stale'} end\nif rec[STATE] == 's' then", "if rec[STATE] == 's' then"), model},
	{"doubt.lua does not mark doubt", one("internal/ledger/doubt.lua", "rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + tonumber(count))",
		"rec[STATE], rec[DOUBT], rec[BAD] = 'd', '0', int(tonumber(rec[BAD]) + tonumber(count))"), model},
	{"release.lua ends another worker's claim", one(releaseLua, "if rec[TOKEN] ~= token then return {'stale'} end\nif rec[STATE] ~= 's' then return", "if rec[STATE] ~= 's' then return"), model},
	{"release.lua keeps an idempotency key that must be renewed", one(releaseLua, "if renew == '1' then\n    rec[REV]", "if false then\n    rec[REV]"), model},
	{"a repeated retry step retries its batch twice", one("internal/ledger/retry_step.lua", "if w[5] ~= batch then return {'open', w[5], w[6]} end", ""),
		tests("internal/ledger", "TestRetry_RepeatedStepsChangeNothing|TestRetry_UnfinishedRetryIsFinishedOnce")},
	{"two planners plan one page", one("internal/ledger/plan_page.lua", "if get('cur') ~= page then return {'moved'} end", ""), model},
	{"every worker probes a held account", one("internal/accounts/check.lua", " or now < tonumber(v[3] or 0) then", " then"),
		tests("internal/accounts", "TestBreaker_OneProbeAtATime")},
	{"an upload is committed twice", one("internal/ledger/commit.lua", "if redis.call('EXISTS', L) == 1 then", "if false then"), tests("internal/ledger", "TestCommit_SecondCommitChangesNothing|TestUpload_OneOfManyConcurrentUploadsWins")},
}
