package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// stage is a part of a run that has its own limit and log.
type stage struct {
	name string
	what string
	// limit is hard: the stage is ended then. It is at least four times what the stage
	// takes on two quick cores with a warm build cache, so that a slow machine is not a
	// failure.
	limit time.Duration
	steps []step
}

// hasServers says whether it has tests on real servers.
func (s stage) hasServers() bool {
	return slices.ContainsFunc(s.steps, func(s step) bool { return s.servers || s.root })
}

// reading is how results of tests are read from what a step prints.
type reading int

const (
	nothing    reading = iota
	testEvents         // of go test -json
	testText           // of a test binary with -test.v=test2json
)

// step is one command of a stage.
type step struct {
	// log names the step's own log; empty for the stage's.
	log string
	dir string
	run []string
	// root runs it through sudo where the user is another.
	root bool
	// tries is how often it may be run, for what depends on a network; 0 is once.
	tries int
	reads reading
	// servers: its tests run on real servers, where one that fails may be tried again.
	servers bool
}

// deciding are the stages of the gate, in their order: what fails quickly comes first, and
// the compilation that lint needs is the one that all later stages reuse.
func deciding() []stage {
	return []stage{
		{"fetch", "Fetch modules and packages of the distribution", 12 * time.Minute, []step{fetched("fetch"), fetched("machine")}},
		{"sweep", "Take away what killed runs left", 6 * time.Minute, []step{{run: target("bin/gantry-lab")}, sweep()}},
		{"image", "Make the root file system of the lab's servers", 12 * time.Minute, []step{fetched("fetch-image")}},
		{"lint", "Check formatting, run the linters, look for dead code", 30 * time.Minute, []step{{run: target("lint")}}},
		{"unit", "Run the unit tests (no root, no hosts)", 18 * time.Minute, units()},
		{"acceptance", "Run the provider under terraform, against model servers (no root, no hosts)", 20 * time.Minute, []step{
			{run: target("tofu")},
			{run: goTest("-tags", "acceptance", "-run", "^TestAcc", "./provider"), reads: testEvents},
		}},
		{"bundle", "Build the bundle and the provider's mirror", 9 * time.Minute, []step{{run: target("bundle")}}},
		{"kernel", "Run the tests of the lab and of nftables, links and mounts, in namespaces (root)", 10 * time.Minute, kernel()},
		{"lab", "Run the core of the tests on the lab's servers, with real terraform and kubectl (root)", 45 * time.Minute, labSuite("core", "bundle", "tofu")},
	}
}

// exploring are the suites that run on purpose, each with a record.
func exploring() []stage {
	return []stage{
		{"wide", "Run the other tests on the lab's servers", 60 * time.Minute, labSuite("wide", "bundle", "tofu", "providers")},
		{"ecosystem", "Run those with programs of others: CSI sidecars, operators, kubectl of other minors", 90 * time.Minute, labSuite("ecosystem", "bundle", "tofu", "machine-shell", "bin/csi/csi-provisioner", "bin/kubectl-older", "bin/kubectl-newer")},
		{"waiting", "Run those that wait: certificates that end, clocks that are wrong", 60 * time.Minute, labSuite("waiting", "bundle", "tofu", "machine-virtual")},
		{"virtual", "Run those on emulated servers, with kernels of their own", 60 * time.Minute, labSuite("virtual", "bundle", "tofu", "machine-virtual")},
		{"releases", "Run those on other distributions", 40 * time.Minute, releases()},
		{"race", "Run the unit tests with the race detector", 90 * time.Minute, []step{{run: append([]string{"env", "CGO_ENABLED=1"}, goTest("-race", "-p", "1", "-timeout", "40m", "./...")...), reads: testEvents}}},
		{"fuzz", "Fuzz what parses foreign bytes, each target by count", 60 * time.Minute, []step{{run: target("fuzz")}}},
		{"chaos", "Break a cluster on the lab's servers for DURATION and judge what it promised", 5 * time.Hour, []step{{run: target("chaos")}}},
		{"conformance", "Run Kubernetes' conformance suite on the lab's servers", 5 * time.Hour, []step{{run: target("conformance")}}},
		{"differential", "Send the same requests to upstream's API server and to ours", 2 * time.Hour, []step{{run: target("differential")}}},
		{"mutants", "Try small wrong changes of the code; print those that no unit test notices", 5 * time.Hour, []step{{run: target("mutants")}}},
		{"bench", "Measure sizes, speed and memory, and what faults cost", 5 * time.Hour, []step{{run: target("bench")}}},
	}
}

// suites say to which suite each test on the lab's servers belongs. Each belongs to one.
var suites = map[string][]string{
	"core": {"TestLife", "TestMasters", "TestLifecycle", "TestPods", "TestPreflight", "TestTrouble", "TestRestore", "TestStorage", "TestWorkloads"},
	"wide": {"TestSecretsStayWhereTheyLive", "TestSurface", "TestLostMember", "TestDiskFull", "TestConnections", "TestBastion", "TestReturn",
		"TestHostsHoldWhatProcessesMay", "TestBadInputIsRefusedByACluster", "TestDevices", "TestTheFirstClusterGuide"},
	"ecosystem": {"TestCSI", "TestOperators", "TestKubectl"},
	"waiting":   {"TestCertificates", "TestClock"},
	"virtual":   {"TestVirtual"},
	"releases":  {"TestReleases"},
}

// served are the packages whose tests run real servers and share the machine with nobody.
var served = []string{"bootstrap", "bootstrap/runlock", "bootstrap/ssh", "cmd/gantry", "runtime/access", "runtime/apiserver", "runtime/apiserver/kinds/ledger", "runtime/apiserver/registry", "runtime/etcd"}

func target(targets ...string) []string {
	return append([]string{"make", "--no-print-directory"}, targets...)
}

func fetched(name string) step { return step{run: target(name), tries: 3} }

func sweep() step {
	return step{log: "sweep", run: []string{"bin/gantry-lab", "sweep"}, root: true}
}

// goTest is go test without vet, which lint has done.
func goTest(args ...string) []string {
	return append([]string{"go", "test", "-vet=off", "-json", "-timeout", "15m"}, args...)
}

// units are the pure packages, whose results go's cache may know for the same sources, and
// then those with real servers, one at a time, each time.
func units() []step {
	apart := strings.Join(served, "|")
	// A list that failed must not come to a test of less.
	packages := fmt.Sprintf("set -eo pipefail; packages=$(go list ./... | grep -vE '^%s(%s)$'); %s $packages", modulePath, apart, strings.Join(goTest(), " "))
	real := append([]string{"-p", "1", "-count=1"}, below(served)...)
	return []step{
		{run: []string{"bash", "-c", packages}, reads: testEvents},
		{run: goTest(real...), reads: testEvents},
	}
}

func below(packages []string) (paths []string) {
	for _, p := range packages {
		paths = append(paths, "./"+p)
	}
	return paths
}

// kernel are the tests of single packages that need root and this machine's kernel.
func kernel() (steps []step) {
	for _, p := range []struct{ name, dir, run string }{
		{"lab", "lab", ""},
		{"proxy", "runtime/proxy", ""},
		{"netpol", "runtime/netpol", "^TestTheKernel"},
		{"network", "runtime/network", ""},
		{"mount", "runtime/kubelet/mount", ""},
	} {
		steps = append(steps, testBinary(p.name, p.dir, p.run)...)
	}
	return steps
}

// testBinary builds a package's tests with the tag lab and runs those that match, or all.
func testBinary(name, dir, run string) []step {
	up := strings.Repeat("../", strings.Count(dir, "/")+1)
	argv := []string{up + "bin/" + name + ".test", "-test.v=test2json", "-test.timeout=8m"}
	if run != "" {
		argv = append(argv, "-test.run="+run)
	} else if name == "lab" {
		argv = append(argv, "-test.skip=^TestServersOfOtherReleases$") // distributions have a suite of their own
	}
	return []step{buildTests(name, dir), {log: name, dir: dir, run: argv, root: true, reads: testText, servers: true}}
}

func buildTests(name, dir string) step {
	return step{run: []string{"go", "test", "-c", "-vet=off", "-tags", "lab", "-o", "bin/" + name + ".test", "./" + dir}}
}

// labSuite makes what a suite needs and runs its tests, a process each and nothing beside.
func labSuite(name string, targets ...string) []step {
	steps := []step{{run: target(targets...)}, buildTests("e2e", "e2e")}
	timeout := "40m"
	if name == "core" {
		timeout = "20m"
	}
	for _, test := range suites[name] {
		steps = append(steps, step{
			log: test, dir: "e2e", root: true, reads: testText, servers: true,
			run: []string{"../bin/e2e.test", "-test.v=test2json", "-test.timeout=" + timeout, "-test.run=" + only(test)},
		})
	}
	return steps
}

// releases has the images of other distributions made first: a test whose image is missing
// is skipped.
func releases() []step {
	steps := []step{{run: target("bin/gantry-lab")}}
	for _, release := range []string{"noble", "trixie"} {
		steps = append(steps, step{run: []string{"bin/gantry-lab", "image", "--release", release}, root: true, tries: 3})
	}
	return slices.Concat(steps, testBinary("lab", "lab", "^TestServersOfOtherReleases$"), labSuite("releases", "bundle", "tofu"))
}

// only matches these tests and no others.
func only(tests ...string) string {
	return "^(" + strings.Join(tests, "|") + ")$"
}

// stagesOf finds stages by their names; none are the ones that decide. Of tests on the
// lab's servers they have those that the pattern matches, which has to be some.
func stagesOf(names []string, tests string) ([]stage, error) {
	wanted, err := regexp.Compile(tests)
	if err != nil {
		return nil, err
	}
	all := append(deciding(), exploring()...)
	if len(names) == 0 {
		for _, s := range deciding() {
			names = append(names, s.name)
		}
	}
	var found []stage
	for _, name := range names {
		i := slices.IndexFunc(all, func(s stage) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no stage or suite %q (gate -list tells them)", name)
		}
		s := all[i]
		s.steps = slices.DeleteFunc(s.steps, func(s step) bool { return s.dir == "e2e" && !wanted.MatchString(s.log) })
		if tests != "" && !slices.ContainsFunc(s.steps, func(s step) bool { return s.dir == "e2e" }) {
			return nil, fmt.Errorf("%q matches no test of %q", tests, name)
		}
		found = append(found, s)
	}
	return found, nil
}
