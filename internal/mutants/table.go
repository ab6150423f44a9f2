package main

import (
	"slices"
	"time"
)

// model is the ledger's model test: random sequences of everything that can happen to
// a campaign, compared with plain data after every step.
var model = catcher{pkg: "internal/ledger", tests: "TestAnySequenceKeepsThePromise", limit: 8 * time.Minute,
	args: []string{"-rapid.checks=500", "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=2s"}}

// chaos is a run of chaos, a short one; want says which promise is to be broken.
func chaos(want string) catcher {
	return catcher{pkg: chaosFolder, args: []string{"-quick", "-for", "20s", "-seed", "1"}, want: want, limit: 9 * time.Minute}
}

// tests are tests of a package, any of which will do.
func tests(pkg, names string) catcher {
	return catcher{pkg: pkg, tests: names, limit: 2 * time.Minute}
}

func one(file, old, new string) []edit { return []edit{{file, old, new}} }

const (
	claimLua   = "internal/ledger/claim.lua"
	settleLua  = "internal/ledger/settle.lua"
	releaseLua = "internal/ledger/release.lua"
	sendGo     = "worker/send.go"
	verdictGo  = "worker/verdict.go"
	twice      = `accepted it \d+ times|duplicates`
)

// mutants are all of them.
var mutants = slices.Concat(inTheIssue, inLua, inGo, inNext, inMove, inLimit, inPersonal, inConsent)

// inTheIssue are those that have to be caught by chaos or the model test.
var inTheIssue = []mutant{
	{"claim after the call instead of before", []edit{
		{sendGo, "\tclaim, err := s.claim(ctx, g)\n\tif claim != nil && err != nil {", `	early := make([]sms.MSISDN, len(g.To))
	for i, p := range g.To {
		early[i] = p.MSISDN
	}
	bounded, cancel := context.WithTimeout(context.Background(), s.acc.Timeout)
	defer cancel()
	s.early, s.earlyErr = call(bounded, s.acc.Provider, providers.Batch{Key: s.requestUUID(g).String(), From: s.sender(), Body: s.body(g), To: early})
	claim, err := s.claim(ctx, g)
	if claim != nil && err != nil {`},
		{sendGo, "\tresults, err := call(ctx, s.acc.Provider, providers.Batch{", "\t_ = ctx\n\tresults, err := s.early, s.earlyErr\n\t_ = (providers.Batch{"},
		{sendGo, "\twatched time.Time\n", "\twatched time.Time\n\tearly []providers.Result\n\tearlyErr error\n"},
	}, chaos(twice)},
	{"doubt forgotten after a later error", one(releaseLua, "if rec[DOUBT] == '1' then\n  rec[STATE] = 'd'",
		"if rec[DOUBT] == '1' and ARGV[7] == '1' then rec[DOUBT] = '0' end\nif rec[DOUBT] == '1' then\n  rec[STATE] = 'd'"), model},
	{"doubt forgotten after a later error_gw", []edit{
		{verdictGo, "e.Outcome == providers.Retryable && e.KeepKey:", "e.Outcome == providers.Retryable && e.KeepKey && !s.doubt:"},
		{releaseLua, "if rec[DOUBT] == '1' then\n  rec[STATE] = 'd'", "rec[DOUBT] = '0'\nif rec[DOUBT] == '1' then\n  rec[STATE] = 'd'"},
	}, tests("worker", "TestWhatMayHaveBeenTakenIsNeverCalledNotSent")},
	{"message_uuid recomputed instead of stored at the first claim", one(claimLua, "if rec[STATE] == 'd' then\n  local ttl",
		"if rec[STATE] == 'd' then\n  rec[UUID] = ARGV[8]\n  local ttl"), model},
	{"message_uuid recomputed from a narrowed list", []edit{
		{settleLua, "  rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + (looked and 0 or 1))\n", `  rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + 1)
  local left = {}
  for _, p in ipairs(members(b, k, g, n)) do
    if not solved[p] then left[#left + 1] = p end
  end
  set(members_field(b, k, g), pack_members(left))
  rec[UUID], rec[SIZE] = '-', int(#left)
`},
		{claimLua, "if rec[STATE] == 'd' then\n  local ttl", "if rec[STATE] == 'd' then\n  if rec[UUID] == '-' then rec[UUID] = ARGV[8] end\n  local ttl"},
	}, model},
	{"message_uuid recomputed from a narrowed list by the worker", []edit{
		{sendGo, "providers.Batch{Key: c.UUID.String(),", "providers.Batch{Key: s.narrowed(c, g).String(),"},
		{sendGo, "// call submits a batch; a panic", `func (s *sending) narrowed(c *ledger.Claim, g *ledger.Generation) uuid.UUID {
	if !c.Doubt || len(g.To) < 2 {
		return c.UUID
	}
	less := *g
	less.To = g.To[1:]
	return s.requestUUID(&less)
}

// call submits a batch; a panic`},
		{sendGo, "\t\"github.com/tuma-sms/tuma/internal/ledger\"\n", "\t\"github.com/google/uuid\"\n\t\"github.com/tuma-sms/tuma/internal/ledger\"\n"},
	}, chaos(twice)},
	{"a 502 treated as retryable", one("providers/status.go", "\tdefault:\n\t\te.Outcome, e.Scope, e.Cause = Unknown, Call, CauseGateway",
		"\tdefault:\n\t\te.Outcome, e.Scope, e.Cause = Retryable, Account, CauseGateway"), chaos(twice)},
	{"a settle refused because its lease is over", one(settleLua, "local mine = state == 's' and rec[TOKEN] == token\n",
		"local mine = state == 's' and rec[TOKEN] == token\nif mine and now >= tonumber(rec[LEASE]) then return {'superseded'} end\n"), model},
}

// inLua are wrong scripts of the ledger.
var inLua = []mutant{
	{"a claim told go while another lease lives", one(claimLua, "if now < tonumber(rec[LEASE]) then return {'busy', rec[LEASE]} end", ""), model},
	{"a lapsed lease leaves no doubt", one(claimLua, "rec[STATE], rec[DOUBT] = 'd', '1'", "rec[STATE], rec[DOUBT] = 'd', '0'"), model},
	{"doubt goes again without a key", one(claimLua, "elseif ttl == 0 then why = 'no_key'\n", "elseif ttl == 0 then ttl = 1e15\n"), model},
	{"doubt goes again after its key has ended", one(claimLua, "elseif now - tonumber(rec[FIRST]) > ttl then why = 'key_expired' end", "end"), model},
	{"doubt goes again under another login", one(claimLua, "if rec[LOGIN] ~= ARGV[9] then why = 'login_changed'\n  elseif ttl == 0", "if ttl == 0"), model},
	{"a look that is said again counts twice", one(settleLua, "elseif looked and state == 'd' and rec[BAD] == ARGV[17] then", "elseif looked and state == 'd' then"), model},
	{"the pause not looked at in the claim", one(claimLua, "if paused then return {'paused'} end", ""), model},
	{"the back-off not looked at in the claim", one(claimLua, "if now < tonumber(rec[DUE]) then return {'later', rec[DUE]} end", ""), model},
	{"an old reading of a generation is claimed", one(claimLua, "if rec[REV] ~= ARGV[6] then return {'changed'} end", ""), model},
	{"a stopped campaign is claimed", one(claimLua, "if why then return {'stopped', why, rec[STATE] == 'd' and '1' or '0'} end", ""), model},
	{"time comes from the worker and not from Redis", []edit{
		{claimLua, "local now = now_ms()\n", "local now = tonumber(ARGV[14])\n"},
		{"internal/ledger/claim.go", "spanArg(r.Open), r.Exclusions)", "spanArg(r.Open), r.Exclusions, time.Now().UnixMilli())"},
	}, tests("internal/ledger", "TestTimeIsRedisOwn")},
	{"the sweeper looks at its own clock", one("internal/ledger/wake.go", "\tt, err := l.rdb.Time(ctx).Result()",
		"\tt, err := time.Now(), ctx.Err()"), tests("internal/ledger", "TestTimeIsRedisOwn")},

	{"a doubtful generation given up as rejected", []edit{
		{settleLua, "if rec[DOUBT] == '1' and (ns == 2 and basis ~= 'answer' or ns == 0 and mine) then ns = 1 end",
			"if rec[DOUBT] == '1' and ns == 0 and mine then ns = 1 end"},
		{sendGo, "ledger.Record{Status: ledger.Unknown, Reason: why}", "ledger.Record{Status: ledger.Rejected, Reason: why}"},
	}, tests("worker", "TestCancelSettlesDoubtAsUnknown")},
	{"our own word rejects what is in doubt", one(settleLua, "(ns == 2 and basis ~= 'answer' or ns == 0 and mine)", "(ns == 0 and mine)"), model},
	{"refused for now clears doubt", one(settleLua, "(ns == 2 and basis ~= 'answer' or ns == 0 and mine)", "(ns == 2 and basis ~= 'answer')"), model},
	{"a verdict settles under another's claim", one(settleLua, "elseif not mine and state ~= 'r' and basis == 'verdict' and a == 0 then", "elseif false then"), model},
	{"a generation in flight is given up", one(settleLua, "if state == 's' then return {'superseded'} end", ""), tests("internal/ledger", "TestBothWentOut|TestWhatIsInFlightIsNotGivenUp")},
	{"a late acceptance does not overrule", one(settleLua, "  elseif ns >= 3 then\n    move(STATUS[os], -1)", "  elseif ns >= 3 and os ~= 2 then\n    move(STATUS[os], -1)"), tests("internal/ledger", "TestBothWentOut|TestWhatIsInFlightIsNotGivenUp")},
	{"resend twice", one(settleLua, "if ns == 1 and resend and not was_unknown(de[i]) then", "if ns == 1 and resend then"), model},
	{"resend where somebody cancelled", one(settleLua, "local resend = ARGV[15] == '1' and not stopped", "local resend = ARGV[15] == '1'"), model},
	{"split of a doubtful generation", one("internal/ledger/split.lua", "if rec[DOUBT] == '1' then return {'doubtful'} end", ""), model},
	{"a split counts twice when its answer got lost", one("internal/ledger/split.lua", "  if rec[T_TOKEN] ~= half(token) then return {'settled'} end\n  told",
		"  if rec[T_TOKEN] == half(token) then return {'settled'} end\n  told"), model},
	{"doubt.lua ends another's claim", one("internal/ledger/doubt.lua", "if rec[TOKEN] ~= token then return {'stale'} end", ""), model},
	{"doubt is not noted", one("internal/ledger/doubt.lua", "rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1',", "rec[STATE], rec[DOUBT], rec[BAD] = 'd', '0',"), model},
	{"a release of another's claim", one(releaseLua, "if rec[TOKEN] ~= token then return {'stale'} end", ""), model},
	{"release keeps the key although told to renew it", one(releaseLua, "if ARGV[7] == '1' then\n    rec[REV]", "if false then\n    rec[REV]"), model},
	{"a retry's batch is put back twice", one("internal/ledger/retry_step.lua", "if w[5] ~= ARGV[2] then return {'open', w[5], w[6]} end", ""),
		tests("internal/ledger", "TestRetryStepsSaidAgain|TestRetryWhoseCallerDiesIsFinishedOnce")},
	{"two planners plan one page", one("internal/ledger/plan_page.lua", "if get('cur') ~= ARGV[2] then return {'moved'} end", ""), model},
	{"everybody probes a held account", one("internal/ledger/account_check.lua", " or now < tonumber(v[3] or 0) then", " then"),
		tests("internal/ledger", "TestOneProbeAtATime")},
	{"an upload is committed twice", one("internal/ledger/commit.lua", "if redis.call('EXISTS', L) == 1 then", "if false then"), tests("internal/ledger", "TestCommitOnce|TestUploadsAtOnceOneWins")},
}
