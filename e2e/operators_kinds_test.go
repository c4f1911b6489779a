//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gantry-run/gantry/e2e/manifests"
)

// user uses kinds as a client does.
type user struct {
	*Cluster
	objects dynamic.Interface
	rest    rest.Interface
}

// kinds makes and uses an object of each served version of each kind that was applied. An
// object that the rules of its kind refuse is refused as invalid, with the field.
func (a *application) kinds(ctx context.Context, logf func(string, ...any)) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", a.Cluster.Kubeconfig)
	if err != nil {
		return err
	}
	cfg.QPS = -1
	u := user{Cluster: a.Cluster}
	if u.objects, err = dynamic.NewForConfig(cfg); err != nil {
		return err
	}
	client, err := rest.UnversionedRESTClientFor(configFor(cfg))
	if err != nil {
		return err
	}
	u.rest = client
	used, versions, refused := 0, 0, []string{}
	for _, o := range a.objects {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		for _, k := range manifests.Kinds(o) {
			versions++
			err := u.use(ctx, k, manifests.Kinds(o))
			switch {
			case errors.As(err, &invalid{}):
				refused = append(refused, err.Error())
			case err != nil:
				return fmt.Errorf("%s: %w", k, err)
			default:
				used++
			}
		}
	}
	logf("%d of %d versions of kinds were used", used, versions)
	for _, r := range refused {
		logf("refused: %s", r)
	}
	if used == 0 && versions > 0 {
		return fmt.Errorf("none of %d versions could be used", versions)
	}
	return nil
}

func configFor(cfg *rest.Config) *rest.Config {
	c := dynamic.ConfigFor(cfg)
	c.GroupVersion = &schema.GroupVersion{}
	return c
}

// invalid is an answer of the rules of a kind.
type invalid struct{ error }

// unknown is a field that no schema has.
const unknown = "gantryUnknown"

// use uses the version of a kind that has all of these.
func (u user) use(ctx context.Context, k manifests.Kind, all []manifests.Kind) error {
	resource := func(k manifests.Kind) dynamic.ResourceInterface {
		r := u.objects.Resource(k.GroupVersion().WithResource(k.Resource))
		if k.Namespaced {
			return r.Namespace("default")
		}
		return r
	}
	r, o := resource(k), k.Least()
	keeps := k.Schema["x-kubernetes-preserve-unknown-fields"] == true
	if !keeps {
		with := o.DeepCopy()
		with.Object[unknown] = "x"
		_, err := r.Create(ctx, with, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `strict decoding error: unknown field "`+unknown+`"`) {
			return fmt.Errorf("a field that is unknown is answered by %w", err)
		}
		o = with
	}
	made, err := r.Create(ctx, o, metav1.CreateOptions{FieldValidation: metav1.FieldValidationIgnore})
	if apierrors.IsInvalid(err) {
		var status apierrors.APIStatus
		if errors.As(err, &status); status.Status().Details == nil || len(status.Status().Details.Causes) == 0 {
			return fmt.Errorf("it is refused without a cause: %w", err)
		}
		return invalid{err}
	}
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if _, kept := made.Object[unknown]; kept {
		return errors.New("a field that is unknown is stored")
	}
	if missing := manifests.Undefaulted(k.Schema, made.Object); k.Stored && len(missing) > 0 {
		return fmt.Errorf("without their defaults are %v", missing)
	}
	for _, other := range all {
		if got, err := resource(other).Get(ctx, "least", metav1.GetOptions{}); err != nil || got.GroupVersionKind() != other.GroupVersionKind {
			return fmt.Errorf("read as %s it is %v: %w", other, got, err)
		}
	}
	for _, do := range []func(context.Context, manifests.Kind, dynamic.ResourceInterface) error{u.columns, u.applies, u.status, u.scale, u.explains} {
		if err := do(ctx, k, r); err != nil {
			return err
		}
	}
	if err := r.Delete(ctx, "least", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return Eventually(ctx, 10*time.Second, func(ctx context.Context) error {
		_, err := r.Get(ctx, "least", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it was deleted and is still there: %w", err)
	})
}

// columns are those that kubectl get prints.
func (u user) columns(ctx context.Context, k manifests.Kind, _ dynamic.ResourceInterface) error {
	text, err := u.rest.Get().AbsPath("/apis", k.Group, k.Version, k.Resource).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	if err != nil {
		return err
	}
	var table metav1.Table
	if err := json.Unmarshal(text, &table); err != nil {
		return err
	}
	want, got := append([]string{"Name"}, k.Columns...), []string{}
	if len(want) == 1 {
		want = append(want, "Age")
	}
	for _, c := range table.ColumnDefinitions {
		got = append(got, c.Name)
	}
	if !slices.Equal(got, want) || len(table.Rows) != 1 {
		return fmt.Errorf("%d rows with the columns %q, want one with %q", len(table.Rows), got, want)
	}
	return nil
}

// applies applies the object on the server, twice.
func (u user) applies(ctx context.Context, k manifests.Kind, r dynamic.ResourceInterface) error {
	options := metav1.ApplyOptions{FieldManager: "gantry-test", Force: true}
	first, err := r.Apply(ctx, "least", k.Least(), options)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	second, err := r.Apply(ctx, "least", k.Least(), options)
	if err != nil {
		return fmt.Errorf("apply again: %w", err)
	}
	if first.GetResourceVersion() != second.GetResourceVersion() {
		return errors.New("applied again it is another version")
	}
	return nil
}

// status writes it where it is written, and elsewhere in vain.
func (u user) status(ctx context.Context, k manifests.Kind, r dynamic.ResourceInterface) error {
	of, has, _ := unstructured.NestedMap(k.Schema, "properties", "status")
	if !k.Status || !has {
		return nil
	}
	before, err := r.Get(ctx, "least", metav1.GetOptions{})
	if err != nil {
		return err
	}
	value, _ := manifests.Least(of).(map[string]any)
	patch, err := json.Marshal(map[string]any{"status": value, "metadata": map[string]any{"labels": map[string]string{"patched": "yes"}}})
	if err != nil {
		return err
	}
	main, err := r.Patch(ctx, "least", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsInvalid(err) {
		return fmt.Errorf("patch: %w", err)
	}
	if err == nil && (fmt.Sprint(main.Object["status"]) != fmt.Sprint(before.Object["status"]) || main.GetGeneration() != before.GetGeneration()) {
		return fmt.Errorf("a patch of the object changes its status to %v", main.Object["status"])
	}
	got, err := r.Patch(ctx, "least", types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsInvalid(err) {
		return nil // by its rules
	}
	if err != nil {
		return fmt.Errorf("patch of the status: %w", err)
	}
	if _, set := got.Object["status"]; !set || got.GetGeneration() != before.GetGeneration() {
		return fmt.Errorf("after a patch of the status it is %v, generation %d after %d", got.Object["status"], got.GetGeneration(), before.GetGeneration())
	}
	return nil
}

// scale scales it, where that field is there.
func (u user) scale(ctx context.Context, k manifests.Kind, r dynamic.ResourceInterface) error {
	if k.Replicas == "" {
		return nil
	}
	path := strings.Split(strings.Trim(k.Replicas, "."), ".")
	if _, err := r.Patch(ctx, "least", types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{}, "scale"); apierrors.IsInvalid(err) {
		return nil // by its rules
	} else if err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	got, err := r.Get(ctx, "least", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if n, _, err := unstructured.NestedInt64(got.Object, path...); n != 3 {
		return fmt.Errorf("%v is %d after it was scaled to 3: %w", path, n, err)
	}
	return nil
}

func (u user) explains(ctx context.Context, k manifests.Kind, _ dynamic.ResourceInterface) error {
	out, err := u.Kubectl(ctx, "explain", k.Resource, "--api-version="+k.GroupVersion().String())
	if err != nil || !strings.Contains(out, "KIND:       "+k.Kind) {
		return fmt.Errorf("explain: %w\n%s", err, out)
	}
	return nil
}
