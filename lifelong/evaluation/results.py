"""stub"""
class Results:
    @classmethod
    def load(cls, folder): return cls()
