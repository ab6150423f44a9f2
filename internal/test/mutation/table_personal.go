package main

const streamGo = "internal/planning/stream.go"

// personalMutants break campaigns with merge fields.
var personalMutants = []mutant{
	{"recipients added to a full call", one(streamGo, "\tdelete(l.open, c.Body)\n", ""), partition},
	{"a call contains recipients with another text", one(streamGo, "i, ok := l.open[body]\n\tif !ok {\n\t\tc := campaign.Call{", "i, ok := 0, len(l.calls) > 0\n\tif !ok {\n\t\tc := campaign.Call{"), partition},
	{"planning ignores which texts an account takes", one("internal/planning/route.go", "case !p.frozen.Accounts[n].AcceptsBody(body):", "case false:"), partition},
	{"carried-over recipients not counted in segments", one("internal/planning/planner.go", "\t\t\tp.segments += len(c.To) * segmentsOf(body)\n", ""), partition},
	{"carried-over texts exceed their size limit", one("internal/planning/planner.go", "for sum > campaign.MaxBodies {", "for sum < 0 {"),
		tests("worker", "TestMergeFields_NoRecordOver64KB")},
	{"recipients with a rare text carried over without end", one("internal/planning/planner.go", "l.calls[0].To[0].Row <= next-campaign.CarryRows", "l.calls[0].To[0].Row < 0*next"),
		tests("internal/planning", "TestPlan_NoRecipientWaitsForLong")},
	{"batches assumed to be in the order of rows", one("internal/ledger/row_index.go", "\t\tif err := f.build(ctx, n); err != nil {\n\t\t\treturn Row{}, false, err\n\t\t}\n",
		"\t\tf.index = []uint32{}\n"), tests("internal/ledger", "TestResults_OrderedWhenBatchesAreNot")},
	{"a moved recipient gets another call's text", one("internal/ledger/move.go", "appendTo(going[a], p, g.gen.Body, f.Accounts[a])", "appendTo(going[a], p, m.gens[0].gen.Body, f.Accounts[a])"),
		model},
	{"every call of a batch gets the first call's text", one("internal/ledger/batch.go", "\treturn b.Bodies[k]\n", "\treturn b.Bodies[0]\n"), model},
	{"an upload page with values marked as one without", one("internal/ledger/codec_personalized.go", "\tout[0] += formatOwn\n", ""), tests("internal/ledger", "TestUploadPage_ValuesRoundTrip")},
	{"a blank value accepted in strict mode", one("producer/personal.go", `if missing != "" && p.strict {`, `if false {`),
		tests("producer", "TestEnqueue_MissingFieldsAreRefusedFirst")},
	{"values left out of the content digest", one("internal/ledger/upload.go", "for _, v := range values {\n\t\td.buf = binary.AppendUvarint(", "for _, v := range values[:0] {\n\t\td.buf = binary.AppendUvarint("),
		tests("producer", "TestEnqueue_UsedFieldsAreTheContent")},
}

// partition is the property test of planning: every recipient is in one call.
var partition = tests("internal/planning", "TestPlan_CallsPartitionTheRecipients")
