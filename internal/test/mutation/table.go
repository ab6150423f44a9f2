package main

import (
	"slices"
	"time"
)

// model is the catcher that runs the ledger's model test. The model test runs random sequences of
// operations on a campaign. After each operation it compares the ledger with a model in memory.
var model = catcher{pkg: "internal/ledger", tests: "TestModel_RandomSequencesKeepTheGuarantees", limit: 8 * time.Minute,
	args: []string{"-rapid.checks=500", "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=2s"}}

// chaos returns a catcher that is a short chaos run. The parameter "want" is a regular expression.
// It must match a broken promise in the report of the run.
func chaos(want string) catcher {
	return catcher{pkg: chaosFolder, args: []string{"-quick", "-for", "20s", "-seed", "1"}, want: want, limit: 9 * time.Minute}
}

// tests returns a catcher that runs tests of a package. The parameter "names" is a regular
// expression for the names of the tests. The mutant is caught if at least one of these tests fails.
func tests(pkg, names string) catcher {
	return catcher{pkg: pkg, tests: names, limit: 2 * time.Minute}
}

// The function "one" returns a list with a single edit.
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
	personalMutants, optOutMutants, refusalMutants, accountMutants, reportMutants, pollMutants, archiveMutants, webhookMutants)

// keyMutants break the rules that prevent a message from being sent twice.
var keyMutants = []mutant{
	{"the worker claims a call only after it has called the gateway", []edit{
		{claimGo, "\treq, err := s.requestClaim(ctx, b, g, b.schedule.open(), a.exclusions)\n\tdefer func() {",
			"\tb.early = s.callEarly(b, submission{gen: g})\n\treq, err := s.requestClaim(ctx, b, g, b.schedule.open(), a.exclusions)\n\tdefer func() {"},
		{callGo, "results, err := callProvider(ctx, b.acc.Gateway().Provider, providers.Batch{IdempotencyKey: sub.claim.IdempotencyKey.String(),",
			"_ = ctx\n\tresults, err := b.early.results, b.early.err\n\t_ = (providers.Batch{IdempotencyKey: sub.claim.IdempotencyKey.String(),"},
		{callGo, "type answer struct {\n\tresults []providers.Result\n\terr     error\n}", `func (s *Sender) callEarly(b *batch, sub submission) answer {
	ctx, cancel := context.WithTimeout(context.Background(), b.acc.Timeout)
	defer cancel()
	results, err := callProvider(ctx, b.acc.Gateway().Provider, providers.Batch{IdempotencyKey: b.idempotencyKey(sub.gen).String(),
		From: b.sender(), Body: b.body(sub.gen), To: numbersOf(sub.gen.To)})
	return answer{results: results, err: err}
}

type answer struct {
	results []providers.Result
	err     error
}`},
		{"internal/dispatch/batch.go", "type batch struct {\n\t*slot\n", "type batch struct {\n\t*slot\n\tearly answer\n"},
	}, chaos(twice)},
	{"release.lua clears doubt when the idempotency key must be renewed", one(releaseLua, "if rec[DOUBT] == '1' then\n  rec[STATE] = 'd'",
		"if rec[DOUBT] == '1' and of == 'answered' then rec[DOUBT] = '0' end\nif rec[DOUBT] == '1' then\n  rec[STATE] = 'd'"), model},
	{"the answer error_gw to a doubtful call clears its doubt", []edit{
		{verdictGo, "e.Outcome == providers.Retryable && e.KeepKey:", "e.Outcome == providers.Retryable && e.KeepKey && !s.Doubt:"},
		{releaseLua, "if rec[DOUBT] == '1' then\n  rec[STATE] = 'd'", "rec[DOUBT] = '0'\nif rec[DOUBT] == '1' then\n  rec[STATE] = 'd'"},
	}, tests("internal/verdict", "TestVerdict_PossiblySentIsNeverNotSent")},
	{"a repeated claim of a doubtful generation replaces its stored idempotency key", one(claimLua, "if rec[STATE] == 'd' then\n  local ttl",
		"if rec[STATE] == 'd' then\n  rec[UUID] = idempotency_key\n  local ttl"), model},
	{"a partly settled doubtful generation gets a new idempotency key for its remaining recipients", []edit{
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
	{"the worker repeats a doubtful call under a key computed from fewer recipients", []edit{
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
	{"an HTTP 502 answer counts as certainly not sent", one("providers/httpclient/status.go", "\tdefault:\n\t\te.Outcome, e.Scope, e.Cause = providers.Unknown, providers.Call, providers.CauseGateway",
		"\tdefault:\n\t\te.Outcome, e.Scope, e.Cause = providers.Retryable, providers.Account, providers.CauseGateway"), chaos(twice)},
	{"settle.lua refuses a settle after the lease of its claim has ended", one(settleLua, "local mine = state == 's' and rec[TOKEN] == token\n",
		"local mine = state == 's' and rec[TOKEN] == token\nif mine and now >= tonumber(rec[LEASE]) then return {'superseded'} end\n"), model},
}

// scriptMutants break the ledger's scripts.
var scriptMutants = []mutant{
	{"claim.lua grants a claim while the lease of another claim is valid", one(claimLua, "if now < tonumber(rec[LEASE]) then return {'busy', rec[LEASE]} end", ""), model},
	{"claim.lua does not mark a generation as doubtful after its lease has ended", one(claimLua, "rec[STATE], rec[DOUBT] = 'd', '1'\n    add('flyc', -1)", "rec[STATE], rec[DOUBT] = 'd', '0'\n    add('flyc', -1)"), model},
	{"claim.lua lets a doubtful call be repeated at a gateway without idempotency keys", one(claimLua, "elseif ttl == 0 then why = 'no_key'\n", "elseif ttl == 0 then ttl = 1e15\n"), model},
	{"claim.lua lets a doubtful call be repeated after its idempotency key has expired", one(claimLua, "elseif now - tonumber(rec[FIRST]) > ttl then why = 'key_expired' end", "end"), model},
	{"claim.lua lets a doubtful call be repeated after the login has changed", one(claimLua, "if rec[LOGIN] ~= login then why = 'login_changed'\n  elseif ttl == 0", "if ttl == 0"), model},
	{"settle.lua counts one lookup at the gateway again when its settle is repeated", one(settleLua, "elseif looked and state == 'd' and rec[BAD] == lookups then", "elseif looked and state == 'd' then"), model},
	{"claim.lua grants a claim in a paused campaign", one(claimLua, "if paused then return {'paused'} end", ""), model},
	{"claim.lua grants a claim before the back-off of the generation has ended", one(claimLua, "if now < tonumber(rec[DUE]) then return {'later', rec[DUE]} end", ""), model},
	{"claim.lua grants a claim for an old revision of a generation", one(claimLua, "if rec[REV] ~= revision then return {'changed'} end", ""), model},
	{"claim.lua grants a claim in a stopped campaign", one(claimLua, "if why then return {'stopped', why, rec[STATE] == 'd' and '1' or '0'} end", ""), model},
	{"claim.lua uses the worker's clock instead of the clock of Redis", []edit{
		{claimLua, "local now = now_ms()\nlocal exp = get('exp')", "local now = tonumber(ARGV[14])\nlocal exp = get('exp')"},
		{"internal/ledger/claim.go", "script.Args(r.args(c.Token))...)", "append(script.Args(r.args(c.Token)), time.Now().UnixMilli())...)"},
	}, tests("internal/ledger", "TestNow_LeasesAndBackOffsUseTheClockOfRedis")},
	{"Tuma's Go code reads its own clock instead of the clock of Redis", one("internal/script/script.go", "\tt, err := r.rdb.Time(ctx).Result()",
		"\tt, err := time.Now(), ctx.Err()"), tests("internal/ledger", "TestNow_LeasesAndBackOffsUseTheClockOfRedis")},

	{"a doubtful generation that is given up ends as rejected instead of unknown", []edit{
		{settleLua, "if rec[DOUBT] == '1' and (ns == 2 and basis ~= 'answer' or ns == 0 and mine) then ns = 1 end",
			"if rec[DOUBT] == '1' and ns == 0 and mine then ns = 1 end"},
		{"internal/dispatch/end.go", "campaign.Record{Status: campaign.Unknown, Reason: why}", "campaign.Record{Status: campaign.Rejected, Reason: why}"},
	}, tests("worker", "TestCancel_DoubtfulCallEndsUnknown")},
	{"settle.lua lets a worker's own conclusion reject recipients of a doubtful generation", one(settleLua, "(ns == 2 and basis ~= 'answer' or ns == 0 and mine)", "(ns == 0 and mine)"), model},
	{"settle.lua sends recipients of a doubtful call again under a new key after a temporary refusal", one(settleLua, "(ns == 2 and basis ~= 'answer' or ns == 0 and mine)", "(ns == 2 and basis ~= 'answer')"), model},
	{"settle.lua lets a worker's own conclusion settle a call that another worker has claimed", one(settleLua, "elseif not mine and state ~= 'r' and basis == 'verdict' and a == 0 then", "elseif false then"), model},
	{"settle.lua lets a worker abandon a generation that is in flight", one(settleLua, "if state == 's' then return {'superseded'} end", ""), tests("internal/ledger", "TestSettle_SecondAcceptedCountsAsResent|TestSettle_AbandonOfACallInFlightIsStale")},
	{"settle.lua does not replace a stored rejection by a late acceptance", one(settleLua, "  elseif ns >= 3 then\n    move(STATUS[os], -1)", "  elseif ns >= 3 and os ~= 2 then\n    move(STATUS[os], -1)"), tests("internal/ledger", "TestSettle_SecondAcceptedCountsAsResent|TestSettle_AbandonOfACallInFlightIsStale")},
	{"settle.lua resends a recipient that was already resent", one(settleLua, "if ns == 1 and resend and not was_unknown(de[i]) then", "if ns == 1 and resend then"), model},
	{"settle.lua resends unknown recipients in a stopped campaign", one(settleLua, "local resend = may_resend == '1' and not stopped", "local resend = may_resend == '1'"), model},
	{"split.lua splits a doubtful generation", one("internal/ledger/split.lua", "if rec[DOUBT] == '1' then return {'doubtful'} end", ""), model},
	{"split.lua does not return the first result when a split is repeated", one("internal/ledger/split.lua", `if rec[T_TOKEN] ~= half(token) then return {'settled'} end
  told(rec, wakes)
  return answer()
end
if rec[TOKEN] ~= token or rec[STATE] ~= 's'`, `if rec[T_TOKEN] == half(token) then return {'settled'} end
  told(rec, wakes)
  return answer()
end
if rec[TOKEN] ~= token or rec[STATE] ~= 's'`), model},
	{"doubt.lua ends another worker's claim", one("internal/ledger/doubt.lua", "if rec[TOKEN] ~= token then return {'stale'} end\nif rec[STATE] == 's' then", "if rec[STATE] == 's' then"), model},
	{"doubt.lua does not mark the generation as doubtful", one("internal/ledger/doubt.lua", "rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + tonumber(count))",
		"rec[STATE], rec[DOUBT], rec[BAD] = 'd', '0', int(tonumber(rec[BAD]) + tonumber(count))"), model},
	{"release.lua ends another worker's claim", one(releaseLua, "if rec[TOKEN] ~= token then return {'stale'} end\nif rec[STATE] ~= 's' then return", "if rec[STATE] ~= 's' then return"), model},
	{"release.lua keeps an idempotency key that must be renewed", one(releaseLua, "if of == 'answered' then\n    rec[REV]", "if false then\n    rec[REV]"), model},
	{"retry_step.lua retries a batch twice when its step is repeated", one("internal/ledger/retry_step.lua", "if w[5] ~= batch then return {'open', w[5], w[6]} end", ""),
		tests("internal/ledger", "TestRetry_RepeatedStepsChangeNothing|TestRetry_UnfinishedRetryIsFinishedOnce")},
	{"plan_page.lua lets two planners plan the same page", one("internal/ledger/plan_page.lua", "if get('cur') ~= page or (get('frozen') or '') .. ' ' .. (get('win') or '') ~= snapshot then return {'moved'} end", "if (get('frozen') or '') .. ' ' .. (get('win') or '') ~= snapshot then return {'moved'} end"), model},
	{"check.lua grants the probe of a held account to every worker at once", one("internal/accounts/check.lua", " or now < tonumber(v[3] or 0) then", " then"),
		tests("internal/accounts", "TestBreaker_OneProbeAtATime")},
	{"commit.lua commits a second upload over an existing campaign", one("internal/ledger/commit.lua", "if redis.call('EXISTS', L) == 1 then", "if false then"), tests("internal/ledger", "TestCommit_SecondCommitChangesNothing|TestUpload_OneOfManyConcurrentUploadsWins")},
}
