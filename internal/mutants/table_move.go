package main

const moveLua = "internal/ledger/move.lua"

// inMove are about work that moves to another account.
var inMove = []mutant{
	{"a move of a generation that has been claimed since", one(moveLua, " or rec[STATE] ~= 'r'", ""), tests("internal/ledger", "TestAMoveOfWhatHasChangedMovesNothing")},
	{"a move of a generation that is another request by now", one(moveLua, " or rec[REV] ~= ARGV[at + 2]", ""), model},
	{"a move while a retry is under way", one(moveLua, " or get('rt')", ""), model},
	{"a move that is made twice", one(moveLua, "if last[1] == token then", "if false then"), model},
	{"a move of what was unknown once", one("internal/ledger/move.go", "once[p] = records[p].before != nil", "once[p] = records[p].before != nil && false"), tests("internal/ledger", "TestOnlyWhatIsCertainlyNotSentMoves")},
	{"a late word that does not reach who has moved", one(settleLua, "forward = forward or ns >= 3", "forward = false"), tests("internal/ledger", "TestALateWordReachesWhoHasMoved")},
	{"a word on a move that Redis forgot, taken for one on a batch", one(settleLua, "elseif moved_here(b) and not get('b' .. b) then", "elseif false then"), tests("internal/ledger", "TestAWordOnAMoveThatRedisForgotReachesWhereItCameFrom")},
	{"a retry that passes over who has moved", one("internal/ledger/retry_step.lua", "  if to then return string.match(to, '^%S+') end\n", ""), tests("internal/ledger", "TestARetryGoesByWhereRecipientsAreNow")},
	{"a recipient that goes back to an account", one("worker/move.go", "slices.ContainsFunc(been, func", "slices.ContainsFunc(been[:1], func"),
		tests("worker", "TestARecipientIsAtEachAccountOnce")},
	{"an account held by hand that loses its work", one("worker/move.go", " && !a.Hold.Until.IsZero()", ""), tests("worker", "TestAnAccountHeldByHandKeepsItsWork")},
}
