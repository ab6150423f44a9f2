package main

const moveLua = "internal/ledger/move.lua"

// failoverMutants break failover, which moves work from a held account to the next account of its
// route.
var failoverMutants = []mutant{
	{"a step of a campaign changes the campaign that has taken its ID", one("internal/ledger/prelude.lua", "if not v or expected ~= '' and up ~= expected then return 'missing' end", "if not v then return 'missing' end"), tests("internal/ledger", "TestReplaced_LateStepsChangeNothing")},
	{"a campaign frees its ID although Redis has lost the claim of a settled call", one("internal/ledger/prelude.lua", "fin and skipped == total and not", "fin and not"), tests("internal/ledger", "TestCommit_IDOfACancelledCampaign")},
	{"a planner plans another campaign that has taken the ID", one("internal/ledger/plan_start.go", "out, err := l.runOn(ctx, planStartScript, id, upload, nil,\n\t\tscript.Args(planStartArgs{", "out, err := l.runOn(ctx, planStartScript, id, \"\", nil,\n\t\tscript.Args(planStartArgs{"), tests("internal/ledger", "TestReplaced_LatePlannerPlansNothing")},
	{"a planned campaign frees its ID at once", one("internal/ledger/prelude.lua", "(not planned or now_ms()", "(true or now_ms()"), tests("internal/ledger", "TestCommit_IDOfACancelledCampaign")},
	{"a later opt-out word keeps the time of the first", one("internal/optout/add.lua", "first < entry then", "false then"), tests("internal/inbox", "TestTake_OptInThatArrivesLateKeepsALaterOptOut")},
	{"the sweeper quarantines a batch of a plan that it has not read", one("internal/sweep/sweep.go", "len(c.Snapshot.Accounts) == 0 && (!sum.Planned || len(sum.Accounts) > 0)", "false"), tests("worker", "TestSweep_CampaignPlannedMeanwhileIsNotQuarantined|TestSweep_BatchOfALostPlanIsNotQuarantined")},
	{"the sweeper quarantines a batch of a plan that Redis lost after the summary", one("internal/sweep/sweep.go", "(!sum.Planned || len(sum.Accounts) > 0)", "!sum.Planned"), tests("worker", "TestSweep_PlanLostMeanwhileIsNotQuarantined")},
	{"a worker quarantines a wake-up of a plan that Redis lost", one("worker/serve.go", "stale = camp.Replaced || len(camp.Snapshot.Accounts) == 0", "stale = camp.Replaced"), tests("worker", "TestSweep_PlanLostMeanwhileIsNotQuarantined")},
	{"a page is planned without its snapshot", one("internal/ledger/plan_page.lua", "if get('cur') ~= page or (get('frozen') or '') .. ' ' .. (get('win') or '') ~= snapshot then", "if get('cur') ~= page then"), tests("internal/ledger", "TestPlan_PageOfALostSnapshotIsNotCommitted")},
	{"refusals of calls from before a release count", one("internal/accounts/refusal.lua", "if bulk == '1' and tonumber(claimed_at) < tonumber(v[7] or 0) then", "if false then"), tests("internal/accounts", "TestRefusal_CallClaimedBeforeTheReleaseIsTriedAgain")},
	{"a campaign with a submitted call frees its ID", one("internal/ledger/prelude.lua", "not (calls or aside or left)", "not (aside or left)"), tests("internal/ledger", "TestCommit_IDOfACancelledCampaign")},
	{"a worker sends with the text of a campaign whose ID was taken", one("internal/dispatch/look.go", "if work.Upload != b.camp.Upload || !b.atItsAccount() {", "if false {"), tests("worker", "TestFreedID_OnlyTheNewCampaignIsSent")},
	{"failover moves a generation that is in flight or doubtful", one(moveLua, " or rec[STATE] ~= 'r'", ""), tests("internal/ledger", "TestFailoverMove_ChangedBatchIsNotMoved")},
	{"failover moves a generation that has changed since the sweeper read it", one(moveLua, "if not rec or rec[STATE] ~= 'r' or rec[REV] ~= revision then", "if not rec or rec[STATE] ~= 'r' then"), model},
	{"failover moves recipients while a retry is running", one(moveLua, "if get('stop') or get('fin') or get('rt') then return {'busy'} end", "if get('stop') or get('fin') then return {'busy'} end"), model},
	{"failover moves the same recipients twice when the move is repeated", one(moveLua, "if last[1] == token then\n  for i = 2, #last do", "if false then\n  for i = 2, #last do"), model},
	{"failover moves recipients that were unknown before a retry or resend", one("internal/ledger/move.go", "once[p] = records[p].before != nil", "once[p] = records[p].before != nil && false"), tests("internal/ledger", "TestFailoverMove_OnlyRecipientsCertainlyNotSent")},
	{"a late acceptance is not applied at the batch that failover moved its recipient to", one(settleLua, "forward = forward or ns >= 3", "forward = false"), tests("internal/ledger", "TestFailoverLateResult_ReachesMovedRecipients")},
	{"a result is written to the new batch although Redis has lost the move to that batch", one(settleLua, "elseif moved_here(b) and not get('b' .. b) then", "elseif false then"), tests("internal/ledger", "TestFailoverLateResult_OfALostMoveReachesTheFirstBatch")},
	{"a retry leaves out recipients that failover has moved", one("internal/ledger/retry_step.lua", "  if to then return string.match(to, '^%S+') end\n", ""), tests("internal/ledger", "TestFailoverRetry_RetriesAtTheAccountMovedTo")},
	{"failover moves a recipient back to an account that it has left", one("internal/sweep/failover.go", "slices.ContainsFunc(been, func", "slices.ContainsFunc(been[:1], func"),
		tests("worker", "TestFailover_RecipientDoesNotReturnToAnAccount")},
	{"failover moves recipients away from an account that is held by hand", one("internal/sweep/failover.go", " && !a.Hold.Until.IsZero()", ""), tests("worker", "TestFailover_AccountHeldByHandKeepsItsWork")},
}
