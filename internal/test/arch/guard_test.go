package main

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestGuard_InstalledWhereProvidersAreOpened requires the network guard of providertest in every
// package whose tests can open a provider. The guard refuses connections to other machines.
// These packages are the gateways, the package worker, and all packages that import one of these.
func TestGuard_InstalledWhereProvidersAreOpened(t *testing.T) {
	t.Parallel()
	folders := map[string][]parsed{}
	for file := range goFiles(t) {
		folder := path.Dir(file.name)
		folders[folder] = append(folders[folder], file)
	}
	found := 0
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		if !slices.ContainsFunc(folders[folder], func(f parsed) bool { return isTest(f.name) }) || !opensProviders(folder, folders[folder]) {
			continue
		}
		found++
		if !slices.ContainsFunc(folders[folder], guards) {
			t.Errorf("%s: the tests of this folder can open providers, so it needs a TestMain that calls providertest.Main or providertest.Guarded", folder)
		}
	}
	if found == 0 {
		t.Error("found no package that can open a provider, want at least one: the test reads the wrong folder")
	}
}

// opensProviders reports whether the tests of a folder can open a provider. Four kinds of packages
// can open a provider: a gateway, the catalog, the conformance suite and the package worker. The
// folder must be such a package, or one of its files must import such a package. The parameter
// "files" has the Go files of the folder, including its tests.
func opensProviders(folder string, files []parsed) bool {
	opens := func(folder string) bool {
		return folder == "providers" || folder == "worker" || matches("providers/*", folder)
	}
	if opens(folder) {
		return true
	}
	for _, file := range files {
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			// Importing the package providers does not count, because it contains only the
			// contract for gateways and cannot open a provider.
			if imported, ours := strings.CutPrefix(name, module+"/"); err == nil && ours && imported != "providers" && opens(imported) {
				return true
			}
		}
	}
	return false
}

// The function "guards" reports whether a file is a test file that has a TestMain and installs the
// guard. A file installs the guard if any of its functions calls providertest.Main or
// providertest.Guarded.
func guards(file parsed) bool {
	main, guard := false, false
	ast.Inspect(file.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			main = main || n.Name.Name == "TestMain" && n.Recv == nil
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && (called.Sel.Name == "Main" || called.Sel.Name == "Guarded") {
				of, ok := called.X.(*ast.Ident)
				guard = guard || ok && of.Name == "providertest"
			}
		case *ast.Ident: // a file of package providertest calls Main or Guarded without the package name
			guard = guard || file.Name.Name == "providertest" && (n.Name == "Main" || n.Name == "Guarded")
		}
		return true
	})
	return isTest(file.name) && main && guard
}

func TestGuard_IsRecognised(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"package x\nfunc TestMain(m *testing.M) { providertest.Main(m) }":                                       true,
		"package x\nfunc TestMain(m *testing.M) { goleak.VerifyTestMain(providertest.Guarded(m)) }":             true,
		"package x\nfunc TestMain(m *testing.M) { os.Exit(m.Run()) }":                                           false,
		"package x\nfunc TestMain(m *testing.M) { suite.Main(m) }":                                              false,
		"package x\nfunc TestSuite(t *testing.T) { providertest.Main(nil) }":                                    false,
		"package x\nfunc (s) TestMain(m *testing.M) { providertest.Main(m) }":                                   false,
		"package x\nfunc TestMain(m *testing.M) { run(m) }\nfunc run(m *testing.M) { providertest.Guarded(m) }": true,
	} {
		if got := guards(parse(t, "x_test.go", text)); got != want {
			t.Errorf("guards = %v, want %v for\n%s", got, want, text)
		}
	}
	for text, want := range map[string]bool{
		"package x\nimport \"" + module + "/providers/kobo\"":     true,
		"package x\nimport \"" + module + "/worker\"":             true,
		"package x\nimport \"" + module + "/providers\"":          false,
		"package x\nimport \"" + module + "/internal/simulator\"": false,
		"package x\nimport \"os\"":                                false,
	} {
		if got := opensProviders("x", []parsed{parse(t, "x.go", text)}); got != want {
			t.Errorf("opensProviders = %v, want %v for\n%s", got, want, text)
		}
	}
}
