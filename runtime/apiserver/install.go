package apiserver

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/apiserver/tokens"
)

// install serves every kind of the table with its subresources.
func (s *Server) install(srv *genericapiserver.GenericAPIServer, a *assembly, scheme *runtime.Scheme, codecs serializer.CodecFactory, issuer *tokens.Issuer) error {
	with, err := s.collaborators(a, issuer)
	if err != nil {
		return err
	}
	binder, err := registry.NewBinder(a.stores, with)
	if err != nil {
		return err
	}
	groups := map[string]*genericapiserver.APIGroupInfo{}
	parameters := runtime.NewParameterCodec(scheme)
	for _, k := range s.table {
		group := groups[k.GVK.Group]
		if group == nil {
			info := genericapiserver.NewDefaultAPIGroupInfo(k.GVK.Group, scheme, parameters, codecs)
			group = &info
			groups[k.GVK.Group] = group
		}
		storages, err := binder.Bind(k)
		if err != nil {
			return err
		}
		for _, version := range registry.ServedVersions(k) {
			if group.VersionedResourcesStorageMap[version] == nil {
				group.VersionedResourcesStorageMap[version] = map[string]rest.Storage{}
			}
			maps.Copy(group.VersionedResourcesStorageMap[version], storages)
		}
	}
	var infos []*genericapiserver.APIGroupInfo
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		if group == corev1.GroupName {
			if err := srv.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, groups[group]); err != nil {
				return fmt.Errorf("core group: %w", err)
			}
			continue
		}
		infos = append(infos, groups[group])
	}
	return srv.InstallAPIGroups(infos...)
}

// publicDocuments serves what others need to verify our tokens.
func (s *Server) publicDocuments(srv *genericapiserver.GenericAPIServer, keys []tokens.Key) error {
	docs, err := tokens.Discovery(s.cfg.ServiceAccount.Issuer, s.cfg.ServiceAccount.Issuer+tokens.KeysPath, keys)
	if err != nil {
		return err
	}
	for path, h := range docs {
		srv.Handler.NonGoRestfulMux.Handle(path, onlyGet(h))
	}
	return nil
}

func onlyGet(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "only GET is served here", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}
