//go:build lab

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gantry-run/gantry/e2e/manifests"
	"github.com/gantry-run/gantry/lab/image"
)

// operator is a project whose manifests are applied as they are but for its images.
type operator struct {
	// name is that of the subtest, and module one that tools/operators requires.
	name, module string
	// files are patterns of files in the module, kustomization is a directory in it.
	files         []string
	kustomization string
	// namespace takes what names none, where that is not "default".
	namespace string
	// chart: the files are a chart's templates, whose expressions are left out.
	chart bool
	// makes is what the operator makes itself before its other programs start.
	makes string
}

var operators = []operator{
	// The largest definitions there are: of some, the annotation of kubectl apply has no room.
	{name: "prometheus-operator", module: "github.com/prometheus-operator/prometheus-operator", files: []string{"bundle.yaml"}},
	// Deployments and a StatefulSet behind NetworkPolicies.
	{name: "argo-cd", module: "github.com/argoproj/argo-cd/v3", files: []string{"manifests/install.yaml"}, namespace: "argocd",
		makes: "{apiVersion: v1, kind: Secret, metadata: {name: argocd-redis}, data: {auth: eA==}}"},
	// Admission webhooks of each kind.
	{name: "cloudnative-pg", module: "github.com/cloudnative-pg/cloudnative-pg", files: []string{"releases/cnpg-1.28.0.yaml"}},
	// Conversion webhooks, and autoscalers.
	{name: "tekton", module: "github.com/tektoncd/pipeline", files: []string{"config/100-namespace/*.yaml", "config/*.yaml", "config/300-crds/*.yaml"}},
	// An aggregated API, and a webhook, by kustomize.
	{name: "keda", module: "github.com/kedacore/keda/v2", kustomization: "config/default",
		makes: "{apiVersion: v1, kind: Secret, metadata: {name: kedaorg-certs, namespace: keda}}"},
	// DaemonSets with the host's directories, network and privileges.
	{name: "frr-k8s", module: "github.com/metallb/frr-k8s", files: []string{"config/all-in-one/frr-k8s.yaml"}},
	// Kinds that convert.
	{name: "longhorn", module: "github.com/longhorn/longhorn-manager", files: []string{"k8s/crds.yaml"}, chart: true},
	// StatefulSets with claims.
	{name: "statefulsets", module: "k8s.io/kubernetes", files: statefulSets("cassandra", "etcd", "zookeeper"), namespace: "stateful"},
	// A driver of volumes, and a plugin of devices: all privileges, the host's directories
	// with mounts that go both ways.
	{name: "csi-hostpath", module: "k8s.io/kubernetes", files: []string{
		"test/e2e/testing-manifests/storage-csi/external-*/rbac.yaml",
		"test/e2e/testing-manifests/storage-csi/hostpath/hostpath/csi-hostpath-driverinfo.yaml",
		"test/e2e/testing-manifests/storage-csi/hostpath/hostpath/csi-hostpath-plugin.yaml",
		"test/e2e/testing-manifests/sample-device-plugin/sample-device-plugin.yaml",
	}, makes: "{apiVersion: v1, kind: Secret, metadata: {name: csi-snapshot-metadata-server-certs}}"},
	// Rules in CEL, and an admission policy.
	{name: "gateway-api", module: "sigs.k8s.io/gateway-api", kustomization: "config/crd"},
	// An aggregated API of the cluster's own namespace.
	{name: "metrics-server", module: "sigs.k8s.io/metrics-server", kustomization: "manifests/base"},
}

func statefulSets(names ...string) []string {
	var out []string
	for _, name := range names {
		for _, file := range []string{"service.yaml", "statefulset.yaml"} {
			out = append(out, filepath.Join("test/e2e/testing-manifests/statefulset", name, file))
		}
	}
	return out
}

// standInImage is the image of e2e/standin, whose user is none of the host's.
const (
	standInImage = "standin.test/standin:1"
	standInUser  = "65532"
)

// TestOperators applies the manifests of big projects, by kubectl apply and by server-side
// apply, sees their workloads run, uses the kinds that they bring, and removes them
// without a trace.
func TestOperators(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-operators", []string{"master-1"}, []string{"worker-1"}, nil)
	ctx := testContext(t)
	modules, err := operatorModules(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(ctx); err != nil {
		t.Fatal(err)
	}
	if err := f.importStandIn(ctx); err != nil {
		t.Fatal(err)
	}
	for _, o := range operators {
		t.Run(o.name, func(t *testing.T) {
			a := &application{Flow: f, operator: o, dir: modules[o.module]}
			t.Cleanup(func() {
				if t.Failed() { // the next one is to find a cluster as it was
					f.evidence(t)
					t.Logf("removed: %v", a.remove(context.WithoutCancel(ctx)))
				}
			})
			step := f.stepper(t)
			step("read", a.read)
			before, err := f.trace(ctx)
			if err != nil {
				t.Fatal(err)
			}
			step("kubectl apply", a.apply)
			step("its workloads run", a.runs)
			step("applied again, nothing changes", a.unchanged)
			step("kubectl delete", a.remove)
			step("nothing is left", func(ctx context.Context) error { return f.noTrace(ctx, before) })
			step("kubectl apply --server-side", a.applyServerSide)
			step("its workloads run", a.runs)
			step("applied again, nothing changes", a.unchangedServerSide)
			step("its kinds are used", func(ctx context.Context) error { return a.kinds(ctx, t.Logf) })
			step("kubectl delete", a.remove)
			step("nothing is left", func(ctx context.Context) error { return f.noTrace(ctx, before) })
		})
	}
}

// operatorModules are the directories of the modules that tools/operators requires, by path.
func operatorModules(ctx context.Context) (map[string]string, error) {
	dir := filepath.Join("..", "tools", "operators")
	text, err := command(ctx, dir, nil, nil, "go", "mod", "edit", "-json")
	if err != nil {
		return nil, err
	}
	var module struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal([]byte(text), &module); err != nil {
		return nil, err
	}
	argv := []string{"go", "mod", "download", "-json"}
	for _, r := range module.Require {
		argv = append(argv, r.Path+"@"+r.Version) // by itself, not what all of them need
	}
	if text, err = command(ctx, dir, nil, nil, argv...); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	out := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out[m.Path] = m.Dir
	}
}

// importStandIn brings the program that stands in for all others to every node.
func (f *Flow) importStandIn(ctx context.Context) error {
	err := importProgram(ctx, f.Lab, f.Nodes(), standInImage, "standin", filepath.Join(filepath.Dir(f.tools.Hello), "standin"), image.Options{User: standInUser})
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w (run make bundle)", err)
	}
	return err
}

// application is an operator in a cluster.
type application struct {
	*Flow
	operator
	dir string // of its module

	objects []*unstructured.Unstructured
	// trust are the patches that have the API server trust the program.
	trust []manifests.Patch
}

// read reads the manifests and gives them the program.
func (a *application) read(ctx context.Context) error {
	var text bytes.Buffer
	if a.kustomization != "" {
		out, err := a.Cluster.Kubectl(ctx, "kustomize", filepath.Join(a.dir, a.kustomization))
		if err != nil {
			return err
		}
		text.WriteString(out)
	}
	for _, pattern := range a.files {
		files, err := filepath.Glob(filepath.Join(a.dir, pattern))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("%s: %v is no file of it: %w", a.dir, pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			text.WriteString("\n---\n")
			text.Write(data)
		}
	}
	data := text.Bytes()
	if a.chart {
		data = regexp.MustCompile(`\{\{.*?\}\}`).ReplaceAll(data, nil)
	}
	objects, err := manifests.Read(append(data, "\n---\n"+a.makes...))
	if err != nil {
		return err
	}
	if a.namespace != "" {
		namespace := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
		namespace.SetName(a.namespace)
		objects = append([]*unstructured.Unstructured{namespace}, objects...)
	}
	identity, authority, err := newIdentity(manifests.Hosts(objects))
	if err != nil {
		return err
	}
	manifests.Program{Image: standInImage, Path: "/standin", Identity: identity}.StandIn(objects)
	a.objects = objects
	a.trust, err = manifests.Trust(objects, authority)
	return err
}

// on runs kubectl on objects, with flags after the verb.
func (a *application) on(ctx context.Context, objects []*unstructured.Unstructured, verb string, flags ...string) (string, error) {
	text, err := manifests.Write(objects)
	if err != nil {
		return "", err
	}
	file := filepath.Join(a.Workspace.Dir, a.name+".yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", err
	}
	args := []string{verb, "-f", file}
	if a.namespace != "" {
		args = append(args, "-n", a.namespace)
	}
	return a.Cluster.Kubectl(ctx, append(args, flags...)...)
}

// annotationLimit bounds all annotations of an object, and so what kubectl apply can apply.
const annotationLimit = 256 << 10

// fitting are the objects whose annotation of kubectl apply has room; the others do not.
func (a *application) fitting() (fit, others []*unstructured.Unstructured, err error) {
	for _, o := range a.objects {
		text, err := json.Marshal(o)
		if err != nil {
			return nil, nil, err
		}
		if len(text) < annotationLimit {
			fit = append(fit, o)
		} else {
			others = append(others, o)
		}
	}
	return fit, others, nil
}

// apply applies what can be, and has what cannot be refused with the reason.
func (a *application) apply(ctx context.Context) error {
	fit, others, err := a.fitting()
	if err != nil {
		return err
	}
	out, err := a.on(ctx, fit, "apply")
	if err != nil {
		return err
	}
	if err := lines(out, len(fit), " created"); err != nil {
		return err
	}
	for _, o := range others {
		out, err := a.on(ctx, []*unstructured.Unstructured{o}, "apply")
		if err == nil || !strings.Contains(err.Error(), "metadata.annotations: Too long: may not be more than 262144 bytes") {
			return fmt.Errorf("%s %s is too large for its annotation: %s: %w", o.GetKind(), o.GetName(), out, err)
		}
	}
	return a.trusted(ctx)
}

func (a *application) applyServerSide(ctx context.Context) error {
	out, err := a.on(ctx, a.objects, "apply", "--server-side")
	if err != nil {
		return err
	}
	if err := lines(out, len(a.objects), " serverside-applied"); err != nil {
		return err
	}
	return a.trusted(ctx)
}

// lines checks that so many lines end in a word.
func lines(out string, want int, end string) error {
	all := strings.Split(strings.TrimSpace(out), "\n")
	other := slices.DeleteFunc(slices.Clone(all), func(line string) bool { return strings.HasSuffix(line, end) })
	if len(all) != want || len(other) > 0 {
		return fmt.Errorf("%d lines, want %d that end in%s; these do not:\n%s", len(all), want, end, strings.Join(other, "\n"))
	}
	return nil
}

// trusted has the API server trust the program, as the operator would.
func (a *application) trusted(ctx context.Context) error {
	for _, p := range a.trust {
		out, err := a.Cluster.Kubectl(ctx, "patch", p.Resource, p.Name, "--type=json", "-p", p.JSON)
		if err != nil && !strings.Contains(err.Error(), "not found") { // what could not be applied
			return fmt.Errorf("%s%w", out, err)
		}
	}
	return nil
}

// runs waits until every workload is as it would be.
func (a *application) runs(ctx context.Context) error {
	for _, o := range a.objects {
		args := []string{"-n", namespaceOf(o, a.namespace)}
		switch o.GetKind() {
		case "Deployment", "StatefulSet", "DaemonSet":
			args = append(args, "rollout", "status", strings.ToLower(o.GetKind())+"/"+o.GetName(), "--timeout=120s")
		case "Job":
			args = append(args, "wait", "--for=condition=Complete", "job/"+o.GetName(), "--timeout=120s")
		case "APIService":
			args = append(args, "wait", "--for=condition=Available", "apiservice/"+o.GetName(), "--timeout=60s")
		case "CustomResourceDefinition":
			if _, others, _ := a.fitting(); slices.Contains(others, o) {
				continue
			}
			args = append(args, "wait", "--for=condition=Established", "crd/"+o.GetName(), "--timeout=30s")
		default:
			continue
		}
		if out, err := a.Cluster.Kubectl(ctx, args...); err != nil {
			return fmt.Errorf("%s%w", out, err)
		}
	}
	return nil
}

func namespaceOf(o *unstructured.Unstructured, otherwise string) string {
	if n := o.GetNamespace(); n != "" {
		return n
	}
	if otherwise != "" {
		return otherwise
	}
	return "default"
}

// generations tells of each object its generation, or its version where it has none.
const generations = `go-template={{range .items}}{{.kind}}/{{.metadata.name}} {{or .metadata.generation .metadata.resourceVersion}}{{"\n"}}{{end}}`

// unchanged applies once more: nothing may be written, and nothing differ. Where a list lacks
// what the server defaults in it, kubectl sends it again and says "configured".
func (a *application) unchanged(ctx context.Context) error {
	fit, _, err := a.fitting()
	if err != nil {
		return err
	}
	return a.writesNothing(ctx, fit, " unchanged", " configured")
}

// unchangedServerSide does so on the server. Of an object of which the first apply owns
// nothing (a Secret without data), the second writes that all was there before it, as
// upstream's server does; so the third is compared.
func (a *application) unchangedServerSide(ctx context.Context) error {
	if _, err := a.on(ctx, a.objects, "apply", "--server-side"); err != nil {
		return err
	}
	return a.writesNothing(ctx, a.objects, " serverside-applied", "", "--server-side")
}

func (a *application) writesNothing(ctx context.Context, objects []*unstructured.Unstructured, end, orEnd string, flags ...string) error {
	before, err := a.on(ctx, objects, "get", "-o", generations)
	if err != nil {
		return err
	}
	out, err := a.on(ctx, objects, "apply", flags...)
	if err != nil {
		return err
	}
	if orEnd != "" {
		out = regexp.MustCompile(regexp.QuoteMeta(orEnd)+"(?m)$").ReplaceAllString(out, end)
	}
	if err := lines(out, len(objects), end); err != nil {
		return err
	}
	after, err := a.on(ctx, objects, "get", "-o", generations)
	if err != nil {
		return err
	}
	if after != before {
		was := strings.Split(before, "\n")
		return fmt.Errorf("generations are %q, and were %q", missing(strings.Split(after, "\n"), was), missing(was, strings.Split(after, "\n")))
	}
	if out, err = a.on(ctx, objects, "diff", flags...); err != nil || out != "" {
		return fmt.Errorf("kubectl diff: %w\n%s", err, out)
	}
	return nil
}

func (a *application) remove(ctx context.Context) error {
	_, err := a.on(ctx, a.objects, "delete", "--ignore-not-found", "--timeout="+(3*time.Minute).String())
	return err
}
