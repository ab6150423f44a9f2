package main

const laneGo = "internal/planning/lane.go"

// inPersonal are about campaigns with merge fields.
var inPersonal = []mutant{
	{"a call that goes on when it is full", one(laneGo, "\tdelete(l.open, c.Body)\n", ""), partition},
	{"a call with recipients of another text", one(laneGo, "\ti, ok := l.open[body]\n", "\ti, ok := 0, len(l.calls) > 0\n"), partition},
	{"a text that the account does not take", one("internal/planning/route.go", "case !p.frozen.Accounts[n].Takes(body):", "case false:"), partition},
	{"what is carried over counts no segments", one("internal/planning/planner.go", "\t\t\tp.segments += len(c.To) * segmentsOf(body)\n", ""), partition},
	{"more is carried over than Redis is to hold in one value", one("internal/planning/planner.go", "for sum > ledger.MaxBodies {", "for sum < 0 {"),
		tests("worker", "TestNoRecordOfLongTextsIsLarge")},
	{"recipients with a rare text are carried on for ever", one("internal/planning/planner.go", "l.calls[0].To[0].Row <= next-ledger.CarryRows", "l.calls[0].To[0].Row < 0"),
		tests("internal/planning", "TestNobodyIsCarriedOnForLong")},
	{"batches are taken to be in the order of rows", one("internal/ledger/find.go", "\t\tif err := f.look(ctx, n); err != nil {\n\t\t\treturn Row{}, false, err\n\t\t}\n",
		"\t\tf.index = []uint32{}\n"), tests("internal/ledger", "TestResultsOfBatchesInNoOrder")},
	{"a text stays behind when its recipient moves", one("internal/ledger/move.go", "appendTo(going[a], p, g.gen.Body, f.Accounts[a])", "appendTo(going[a], p, m.gens[0].gen.Body, f.Accounts[a])"),
		model},
	{"texts of two calls are mixed up", one("internal/ledger/batch.go", "\treturn b.Bodies[k]\n", "\treturn b.Bodies[0]\n"), model},
	{"the page of an older release for one with values", one("internal/ledger/codec_own.go", "\tout[0] += formatOwn\n", ""), tests("internal/ledger", "TestRowsRoundTrip")},
	{"a blank value is no matter", one("producer/personal.go", `if missing != "" && p.strict {`, `if false {`),
		tests("producer", "TestWhatCannotBeFilledInIsRefusedBeforeAnythingIsEnqueued")},
	{"values are no part of the content", one("internal/ledger/upload.go", "\tfor _, v := range values {\n\t\td.buf", "\tfor _, v := range values[:0] {\n\t\td.buf"),
		tests("producer", "TestTheValuesThatTheTextUsesAreTheContent")},
}

// partition is the property test of planning.
var partition = tests("internal/planning", "TestCallsPartitionTheRecipients")
