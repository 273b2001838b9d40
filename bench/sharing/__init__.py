"""Results of several people in one place: merged folders, datasets on the hub, bundles of volunteers."""
