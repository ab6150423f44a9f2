package main

const moveLua = "internal/ledger/move.lua"

// failoverMutants break failover: work moves to the next account of a route.
var failoverMutants = []mutant{
	{"failover moves a generation that was claimed", one(moveLua, " or rec[STATE] ~= 'r'", ""), tests("internal/ledger", "TestFailoverMove_ChangedBatchIsNotMoved")},
	{"failover moves an old revision of a generation", one(moveLua, "if not rec or rec[STATE] ~= 'r' or rec[REV] ~= revision then", "if not rec or rec[STATE] ~= 'r' then"), model},
	{"failover moves work during a retry", one(moveLua, "if get('stop') or get('fin') or get('rt') then return {'busy'} end", "if get('stop') or get('fin') then return {'busy'} end"), model},
	{"a repeated failover moves work twice", one(moveLua, "if last[1] == token then\n  for i = 2, #last do", "if false then\n  for i = 2, #last do"), model},
	{"failover moves recipients that were once unknown", one("internal/ledger/move.go", "once[p] = records[p].before != nil", "once[p] = records[p].before != nil && false"), tests("internal/ledger", "TestFailoverMove_OnlyRecipientsCertainlyNotSent")},
	{"a late result does not follow moved recipients", one(settleLua, "forward = forward or ns >= 3", "forward = false"), tests("internal/ledger", "TestFailoverLateResult_ReachesMovedRecipients")},
	{"a result for a move that Redis lost is applied to the new batch", one(settleLua, "elseif moved_here(b) and not get('b' .. b) then", "elseif false then"), tests("internal/ledger", "TestFailoverLateResult_OfALostMoveReachesTheFirstBatch")},
	{"a retry leaves out moved recipients", one("internal/ledger/retry_step.lua", "  if to then return string.match(to, '^%S+') end\n", ""), tests("internal/ledger", "TestFailoverRetry_RetriesAtTheAccountMovedTo")},
	{"failover returns a recipient to an earlier account", one("internal/sweep/failover.go", "slices.ContainsFunc(been, func", "slices.ContainsFunc(been[:1], func"),
		tests("worker", "TestFailover_RecipientDoesNotReturnToAnAccount")},
	{"failover takes work from a manually held account", one("internal/sweep/failover.go", " && !a.Hold.Until.IsZero()", ""), tests("worker", "TestFailover_AccountHeldByHandKeepsItsWork")},
}
