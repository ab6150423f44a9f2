package main

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"testing"
)

// TestGoleak_UsedWhereGoroutinesStart requires goleak in the tests of every package that starts
// goroutines or an HTTP server.
func TestGoleak_UsedWhereGoroutinesStart(t *testing.T) {
	t.Parallel()
	folders := map[string][]parsed{}
	for file := range goFiles(t) {
		folders[path.Dir(file.name)] = append(folders[path.Dir(file.name)], file)
	}
	found := 0
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		starts := slices.ContainsFunc(folders[folder], func(f parsed) bool { return !isTest(f.name) && startsGoroutines(f) })
		tested := slices.ContainsFunc(folders[folder], func(f parsed) bool { return isTest(f.name) })
		if !starts || !tested {
			continue
		}
		found++
		if !slices.ContainsFunc(folders[folder], looksForLeaks) {
			t.Errorf("%s starts goroutines, so its tests need a TestMain that calls goleak.VerifyTestMain", folder)
		}
	}
	if found == 0 {
		t.Error("found no package that starts goroutines, want at least one: the test reads the wrong folder")
	}
}

// startsGoroutines reports whether a file contains a go statement, a call of a function or method
// named Go or ListenAndServe, the type http.Server, or a call of httptest.NewServer.
func startsGoroutines(file parsed) bool {
	found := false
	ast.Inspect(file.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = true
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			found = found || ok && (called.Sel.Name == "Go" || called.Sel.Name == "ListenAndServe" || is(called, "httptest", "NewServer"))
		case *ast.SelectorExpr:
			found = found || is(n, "http", "Server")
		}
		return true
	})
	return found
}

// The function "is" reports whether the selector x has the given package name and the given name, such as
// time.Sleep.
func is(x *ast.SelectorExpr, pkgName, name string) bool {
	id, ok := x.X.(*ast.Ident)
	return ok && id.Name == pkgName && x.Sel.Name == name
}

// looksForLeaks reports whether a file is a test file that has a TestMain and uses goleak.VerifyTestMain.
func looksForLeaks(file parsed) bool {
	main, leak := false, false
	ast.Inspect(file.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			main = main || n.Name.Name == "TestMain" && n.Recv == nil
		case *ast.SelectorExpr:
			leak = leak || is(n, "goleak", "VerifyTestMain")
		}
		return true
	})
	return isTest(file.name) && main && leak
}

// TestSleep_NotInTests forbids time.Sleep in tests, because a sleep is too short on a slow machine, and
// wastes time on a fast machine.
func TestSleep_NotInTests(t *testing.T) {
	t.Parallel()
	for file := range goFiles(t) {
		if isTest(file.name) {
			for _, at := range sleeps(file) {
				t.Errorf("%s: a test must not call time.Sleep: wait for a signal or a condition, or use testing/synctest", at)
			}
		}
	}
}

// The function "sleeps" returns the positions, as "FILE:LINE", at which a file uses time.Sleep.
func sleeps(file parsed) (at []string) {
	ast.Inspect(file.File, func(n ast.Node) bool {
		if x, ok := n.(*ast.SelectorExpr); ok && is(x, "time", "Sleep") {
			at = append(at, file.at(x))
		}
		return true
	})
	return at
}

func TestGoleak_ChecksRecogniseGoroutinesAndSleeps(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"package x\nfunc f() { go f() }":                                true,
		"package x\nfunc f() { wg.Go(f) }":                              true,
		"package x\nvar s = http.Server{}":                              true,
		"package x\nfunc f() *http.Server { return nil }":               true,
		"package x\nfunc f() { httptest.NewServer(nil) }":               true,
		"package x\nfunc f() { http.Get(url) }\nfunc Go() {}":           false,
		"package x\n// go f() and wg.Go(f)\nvar s = \"go f()\"":         false,
		"package x\nfunc f() { defer f(); httptest.NewRecorder() }":     false,
		"package x\nfunc f() error { return http.ListenAndServe(a, b)}": true,
	} {
		if got := startsGoroutines(parse(t, "x.go", text)); got != want {
			t.Errorf("startsGoroutines = %v, want %v for\n%s", got, want, text)
		}
	}
	for text, want := range map[string]bool{
		"package x\nfunc TestMain(m *testing.M) { goleak.VerifyTestMain(m) }": true,
		"package x\nfunc TestMain(m *testing.M) { os.Exit(m.Run()) }":         false,
		"package x\nfunc TestX(t *testing.T) { goleak.VerifyTestMain(m) }":    false,
	} {
		if got := looksForLeaks(parse(t, "x_test.go", text)); got != want {
			t.Errorf("looksForLeaks = %v, want %v for\n%s", got, want, text)
		}
	}
	if got := sleeps(parse(t, "x_test.go", "package x\nfunc f() {\n\ttime.Sleep(1)\n\tclock.Sleep(1)\n\ttime.After(1)\n}")); len(got) != 1 {
		t.Errorf("sleeps = %v, want only the line with time.Sleep", got)
	}
}
