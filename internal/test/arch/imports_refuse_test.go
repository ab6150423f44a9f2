package main

import (
	"path"
	"slices"
	"strings"
)

// The function "matches" reports whether a folder matches the pattern of a folderRule.
func matches(pattern, folder string) bool {
	ok, err := path.Match(pattern, folder)
	return ok && err == nil
}

// The function "reaches" reports whether an import path is equal to the path in the parameter "forbidden", or is
// below that path.
func reaches(name, forbidden string) bool {
	return name == forbidden || strings.HasPrefix(name, strings.TrimSuffix(forbidden, "/")+"/")
}

// placeOf returns the index of a folder's rule in folderRules, or -1 if the folder has no rule.
func placeOf(folder string) int {
	exact := slices.IndexFunc(folderRules, func(r folderRule) bool { return r.folder == folder })
	if exact >= 0 {
		return exact
	}
	return slices.IndexFunc(folderRules, func(r folderRule) bool { return matches(r.folder, folder) })
}

// ruleOf returns the rule for a folder, or nil if the folder has no rule.
func ruleOf(folder string) *folderRule {
	if at := placeOf(folder); at >= 0 {
		return &folderRules[at]
	}
	return nil
}

// misplaced returns a message for each rule at the wrong place in the list. The rule of a folder
// must follow the rules of the folders that it may import, and precede the rules of its importers.
// A folder must have exactly one rule.
func misplaced(rules []folderRule) []string {
	var wrong []string
	place := map[string]int{}
	for i, r := range rules {
		if _, twice := place[r.folder]; twice {
			wrong = append(wrong, r.folder+" has two rules")
		}
		place[r.folder] = i
	}
	for i, r := range rules {
		for _, imported := range r.may {
			if at, ok := place[imported]; imported != all && (!ok || at >= i) {
				wrong = append(wrong, r.folder+" may import "+imported+", whose rule must come earlier")
			}
		}
		for _, importer := range r.importers {
			if at, ok := place[importer]; !ok || at <= i {
				wrong = append(wrong, r.folder+" is for "+importer+", whose rule must come later")
			}
		}
	}
	return wrong
}

// refuseFolder returns the reason why code may not import a folder, or "" if the import is permitted. The
// parameter "importer" is the folder of the code, and the parameter "imported" is the other folder. Both are
// folders of this module.
func refuseFolder(importer, imported string) string {
	rule, other := ruleOf(importer), ruleOf(imported)
	if rule == nil {
		return "there is no rule for " + importer + ": add one to folderRules in internal/test/arch/imports_test.go"
	}
	if other != nil && other.importers != nil && !slices.ContainsFunc(other.importers, func(p string) bool { return matches(p, importer) }) {
		return imported + " is for " + strings.Join(append(slices.Clone(other.importers), "tests"), ", ") + " only: " + other.why
	}
	if other != nil && placeOf(imported) >= placeOf(importer) {
		return "folderRules lists it after " + importer + ", and imports only lead down"
	}
	if !slices.ContainsFunc(rule.may, func(p string) bool { return p == all || matches(p, imported) }) {
		return rule.why
	}
	return ""
}

// refuseLibrary returns the reason why a file may not import a package, or "" if the import is permitted. The
// parameter "importer" is the folder of the file, and the parameter "imported" is the package. The package is in
// another module or in the standard library. The parameter isTest is true if the file is a test.
func refuseLibrary(importer, imported string, isTest bool) string {
	var rule *libraryRule
	for i := range libraryRules {
		r := &libraryRules[i]
		if (imported == r.path || !r.exact && reaches(imported, r.path)) && (rule == nil || len(r.path) > len(rule.path)) {
			rule = r
		}
	}
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case rule == nil && strings.Contains(first, "."):
		return "there is no rule for it: add one to libraryRules in internal/test/arch/imports_libraries_test.go"
	case rule == nil, isTest && !rule.banned:
		return ""
	case rule.banned || !slices.ContainsFunc(rule.in, func(p string) bool { return matches(p, importer) }):
		return rule.why
	}
	return ""
}

// refuseReached returns a message for each package that the rule forbids. The parameter "deps" has all packages
// on which the folder of the rule depends.
func refuseReached(rule reachRule, deps []string) []string {
	var refused []string
	self := module + "/" + rule.folder
	for _, name := range deps {
		for _, f := range rule.forbidden {
			if name != self && !slices.Contains(exceptions[rule.folder], name) && reaches(name, f) {
				refused = append(refused, rule.folder+" depends on "+name+": "+rule.why)
			}
		}
	}
	return refused
}
