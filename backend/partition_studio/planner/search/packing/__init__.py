from partition_studio.planner.search.packing.bound import packing_bound as packing_bound
